/* SPDX-License-Identifier: PSF-2.0 */
/* To be told when a module is imported. */
#include "compat.h"

static const char *wanted;
static void (*call)(void);

#if PY_VERSION_HEX >= 0x030C0000

static int
changed(PyDict_WatchEvent event, PyObject *Py_UNUSED(dict), PyObject *key,
        PyObject *Py_UNUSED(value))
{
    bool set = event == PyDict_EVENT_ADDED || event == PyDict_EVENT_MODIFIED;
    if (set && PyUnicode_Check(key)
        && PyUnicode_CompareWithASCIIString(key, wanted) == 0) {
        call();
    }
    return 0;
}

int
slp_import_watch(const char *name, void (*seen)(void))
{
    int watcher = PyDict_AddWatcher(changed);
    wanted = name;
    call = seen;
    if (watcher >= 0 && PyDict_Watch(watcher, PyImport_GetModuleDict()) < 0) {
        PyDict_ClearWatcher(watcher);
        watcher = -1;
    }
    if (watcher < 0) {
        PyErr_Clear();
    }
    return watcher;
}

void
slp_import_unwatch(int watcher)
{
    if (watcher >= 0
        && (PyDict_Unwatch(watcher, PyImport_GetModuleDict()) < 0
            || PyDict_ClearWatcher(watcher) < 0)) {
        PyErr_Clear();
    }
}

#else

slp_modules slp_watched;

void
slp_import_look(void)
{
    slp_watched.then = *slp_watched.now;
    /* Not PyImport_GetModule(): that waits until it is there, in Python. */
    PyObject *name = PyUnicode_FromString(wanted);
    if (name == NULL
        || PyDict_GetItemWithError((PyObject *)slp_watched.modules, name)
               != NULL
        || PyErr_Occurred()) { /* checked: perhaps it is there */
        PyErr_Clear();
        call();
    }
    Py_XDECREF(name);
}

int
slp_import_watch(const char *name, void (*seen)(void))
{
    PyDictObject *modules = (PyDictObject *)PyImport_GetModuleDict();
    wanted = name;
    call = seen;
    slp_watched.modules = modules;
    slp_watched.now = &modules->ma_version_tag;
    slp_watched.then = modules->ma_version_tag;
    return 0;
}

void
slp_import_unwatch(int watcher)
{
    (void)watcher;
    slp_watched.now = NULL;
}

#endif
