// Compiled by test_pybind.py: Python called back from C++, with exceptions.

#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stackless_api.h>

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace py = pybind11;

// pybind11 keeps the calls of a module's functions in a list for each thread,
// and ends the process if they do not return in reverse order.  So the list
// goes with the tasklet (docs/extensions.md).
using Calls = py::detail::loader_life_support;

// The list's head is private; an explicit instantiation may name it.
Calls *&calls_of_thread();
template <auto Member>
struct Opened {
    friend Calls *&calls_of_thread() { return Member(); }
};
template struct Opened<&Calls::tls_current_frame>;

static std::unordered_map<PyTaskletObject *, Calls *> calls_of_tasklets;

static int
before_switch(PyTaskletObject *from, PyTaskletObject *to)
{
    Calls *&calls = calls_of_thread();
    if (calls != nullptr) {
        calls_of_tasklets[from] = calls;
    }
    auto found = calls_of_tasklets.find(to);
    calls = found == calls_of_tasklets.end() ? nullptr : found->second;
    if (calls != nullptr) {
        calls_of_tasklets.erase(found);
    }
    return 0;
}

static void
follow_tasklets(bool on)
{
    PyStackless_SetScheduleFastcallback(on ? before_switch : nullptr);
}

struct Error : std::runtime_error {
    explicit Error(const std::string &what) : std::runtime_error(what) {}
};

// What is being handled and what is being thrown, as the C++ runtime has it.
static std::string
handled()
{
    std::exception_ptr now = std::current_exception();
    if (!now) {
        return "none";
    }
    try {
        std::rethrow_exception(now);
    }
    catch (const std::exception &error) {
        return error.what();
    }
}

// The callback runs while an exception is being handled; it is thrown again
// afterwards, by `throw` alone, and caught again.
static std::string
handle(const py::function &callback, const std::string &text)
{
    std::string seen;
    try {
        try {
            throw Error(text);
        }
        catch (const Error &) {
            callback();
            seen = handled();
            throw;
        }
    }
    catch (const std::exception &error) {
        callback();
        return seen + "/" + error.what() + "/" + handled();
    }
}

static std::string
nested(const py::function &callback, const std::string &text)
{
    try {
        throw Error(text + " outer");
    }
    catch (const Error &outer) {
        std::string inner = handle(callback, text + " inner");
        callback();
        return inner + "/" + outer.what() + "/" + handled();
    }
}

struct Destroyed {
    const py::function &callback;
    std::vector<int> &counts;

    ~Destroyed()
    {
        counts.push_back(std::uncaught_exceptions());
        callback();
        counts.push_back(std::uncaught_exceptions());
    }
};

// The callback runs in a destructor while the stack is being unwound.
static std::vector<int>
unwind(const py::function &callback)
{
    std::vector<int> counts;
    try {
        Destroyed destroyed{callback, counts};
        throw Error("unwinding");
    }
    catch (const Error &) {
    }
    counts.push_back(std::uncaught_exceptions());
    return counts;
}

static void
throw_after(const py::function &callback, const std::string &text)
{
    callback();
    throw Error(text);
}

// A Python exception goes through C++ as py::error_already_set.
static py::object
catch_python(const py::function &callback, const py::function &then)
{
    try {
        callback();
    }
    catch (py::error_already_set &error) {
        then();
        return error.value();
    }
    return py::none();
}

static py::object
call_without_gil(const py::function &callback)
{
    py::gil_scoped_release release;
    py::gil_scoped_acquire acquire;
    return callback();
}

static std::vector<int>
sort(std::vector<int> numbers, const std::function<bool(int, int)> &less)
{
    std::stable_sort(numbers.begin(), numbers.end(), less);
    return numbers;
}

struct Base {
    virtual ~Base() = default;
    virtual int work(int n) { return n; }
};

struct Trampoline : Base {
    int work(int n) override { PYBIND11_OVERRIDE(int, Base, work, n); }
};

static int
add_up(Base &base, int n)
{
    int total = 0;
    for (int i = 0; i < n; i++) {
        total += base.work(i);
    }
    return total;
}

PYBIND11_MODULE(probe_pybind, m)
{
    if (PyStackless_Import() < 0) {
        throw py::error_already_set();
    }
    m.def("follow_tasklets", follow_tasklets);
    py::register_exception<Error>(m, "Error", PyExc_RuntimeError);
    m.def("call", [](const py::function &callback) { return callback(); });
    m.def("handle", handle);
    m.def("handled", handled);
    m.def("nested", nested);
    m.def("unwind", unwind);
    m.def("throw_after", throw_after);
    m.def("catch_python", catch_python);
    m.def("call_without_gil", call_without_gil);
    m.def("sort", sort);
    m.def("add_up", add_up);
    py::class_<Base, Trampoline>(m, "Base")
        .def(py::init<>())
        .def("work", &Base::work);
}
