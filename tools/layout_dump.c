/* SPDX-License-Identifier: PSF-2.0 */
/* Print the sizes and offsets of CPython's private structures that the core
   uses, as the headers of one Python give them.  To compare two releases:

     for inc in A/include/python3.13 B/include/python3.13; do
         cc -w -O1 -Isrc/stackless/_core -I$inc -I$inc/internal \
             tools/layout_dump.c -o build/layout_dump && build/layout_dump
     done

   Where a line differs, a binary built for the one must not be loaded into
   the other; src/stackless/_core/compat/compat_layout.c has to notice. */
#include "compat/compat.h"

#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"

#define SIZE(type) printf("%-52s %zu\n", "sizeof " #type, sizeof(type))
#define AT(type, field)                                                       \
    printf("%-52s %zu\n", #type "." #field, offsetof(type, field))

static void
thread_state(void)
{
    SIZE(PyThreadState);
    AT(PyThreadState, interp);
    AT(PyThreadState, tracing);
    AT(PyThreadState, c_profilefunc);
    AT(PyThreadState, c_tracefunc);
    AT(PyThreadState, c_profileobj);
    AT(PyThreadState, c_traceobj);
    AT(PyThreadState, exc_info);
    AT(PyThreadState, dict);
    AT(PyThreadState, thread_id);
    AT(PyThreadState, coroutine_origin_tracking_depth);
    AT(PyThreadState, async_gen_firstiter);
    AT(PyThreadState, async_gen_finalizer);
    AT(PyThreadState, context);
    AT(PyThreadState, context_ver);
    AT(PyThreadState, id);
    AT(PyThreadState, datastack_chunk);
    AT(PyThreadState, datastack_top);
    AT(PyThreadState, datastack_limit);
    AT(PyThreadState, exc_state);
#if PY_VERSION_HEX < 0x030C0000
    AT(PyThreadState, recursion_remaining);
    AT(PyThreadState, recursion_limit);
    AT(PyThreadState, tracing_what);
    AT(PyThreadState, trash_delete_nesting);
    AT(PyThreadState, trash_delete_later);
    AT(_PyCFrame, use_tracing);
#else
    AT(PyThreadState, py_recursion_remaining);
    AT(PyThreadState, py_recursion_limit);
    AT(PyThreadState, what_event);
#endif
#if PY_VERSION_HEX < 0x030D0000
    AT(PyThreadState, cframe);
    AT(PyThreadState, root_cframe);
    AT(_PyCFrame, current_frame);
    AT(_PyCFrame, previous);
#else
    AT(PyThreadState, current_frame);
    AT(PyThreadState, eval_breaker);
    AT(PyThreadState, critical_section);
#endif
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030E0000
    AT(PyThreadState, c_recursion_remaining);
#endif
}

static void
private_thread_state(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    SIZE(_PyThreadStateImpl);
    AT(_PyThreadStateImpl, asyncio_running_loop);
#endif
#if PY_VERSION_HEX >= 0x030E0000
    AT(_PyThreadStateImpl, asyncio_running_task);
    AT(_PyThreadStateImpl, c_stack_top);
    AT(_PyThreadStateImpl, c_stack_soft_limit);
    AT(_PyThreadStateImpl, c_stack_hard_limit);
    AT(PyThreadState, current_executor);
    AT(PyThreadState, delete_later);
#endif
#if PY_VERSION_HEX >= 0x030F0000
    AT(PyThreadState, base_frame);
    AT(PyThreadState, last_profiled_frame);
    AT(PyThreadState, last_profiled_frame_seq);
    AT(PyThreadState, jit_exit);
#endif
}

static void
interpreter_state(void)
{
    SIZE(PyInterpreterState);
    AT(PyInterpreterState, id);
    AT(PyInterpreterState, next);
    AT(PyInterpreterState, threads.head);
    AT(PyInterpreterState, ceval);
    AT(PyInterpreterState, ceval.recursion_limit);
    AT(PyInterpreterState, gc.collecting);
    AT(PyInterpreterState, dict);
    AT(PyInterpreterState, eval_frame);
#if PY_VERSION_HEX >= 0x030C0000
    AT(PyInterpreterState, last_restart_version);
    AT(PyInterpreterState, monitors);
    AT(PyInterpreterState, ceval.gil);
    AT(PyInterpreterState, ceval.pending);
#endif
#if PY_VERSION_HEX >= 0x030D0000
    AT(PyInterpreterState, ceval.instrumentation_version);
#elif PY_VERSION_HEX >= 0x030C0000
    AT(PyInterpreterState, monitoring_version);
#endif
}

static void
frames(void)
{
    SIZE(slp_frame);
    AT(slp_frame, previous);
    AT(slp_frame, f_globals);
    AT(slp_frame, f_builtins);
    AT(slp_frame, f_locals);
    AT(slp_frame, frame_obj);
    AT(slp_frame, owner);
    AT(slp_frame, localsplus);
#if PY_VERSION_HEX < 0x030C0000
    AT(slp_frame, f_func);
    AT(slp_frame, is_entry);
#else
    AT(slp_frame, f_funcobj);
    AT(slp_frame, return_offset);
#endif
#if PY_VERSION_HEX < 0x030D0000
    AT(slp_frame, f_code);
    AT(slp_frame, prev_instr);
#else
    AT(slp_frame, f_executable);
    AT(slp_frame, instr_ptr);
#endif
#if PY_VERSION_HEX < 0x030E0000
    AT(slp_frame, stacktop);
#else
    AT(slp_frame, stackpointer);
#endif
    SIZE(PyFrameObject);
    AT(PyFrameObject, f_back);
    AT(PyFrameObject, f_frame);
    AT(PyFrameObject, _f_frame_data);
}

static void
objects(void)
{
    SIZE(_PyErr_StackItem);
    AT(_PyErr_StackItem, exc_value);
    AT(_PyErr_StackItem, previous_item);
    AT(_PyStackChunk, previous);
    AT(_PyStackChunk, size);
    AT(_PyStackChunk, top);
    AT(_PyStackChunk, data);
    SIZE(PyGenObject);
    AT(PyGenObject, gi_exc_state);
    AT(PyGenObject, gi_frame_state);
    AT(PyGenObject, gi_iframe);
    AT(PyAsyncGenObject, ag_closed);
    AT(PyAsyncGenObject, ag_running_async);
    printf("%-52s %d\n", "FRAME_CREATED", (int)FRAME_CREATED);
    printf("%-52s %d\n", "FRAME_CLEARED", (int)FRAME_CLEARED);
    SIZE(PyCodeObject);
    AT(PyCodeObject, co_flags);
    AT(PyCodeObject, co_stacksize);
    AT(PyCodeObject, co_nlocalsplus);
    AT(PyCodeObject, _co_firsttraceable);
    AT(PyCodeObject, co_code_adaptive);
#if PY_VERSION_HEX >= 0x030C0000
    AT(PyCodeObject, co_framesize);
    AT(PyCodeObject, _co_instrumentation_version);
    AT(PyCodeObject, _co_monitoring);
#endif
    SIZE(PyFunctionObject);
    AT(PyFunctionObject, func_code);
    AT(PyFunctionObject, func_globals);
    AT(PyFunctionObject, func_builtins);
    AT(PyFunctionObject, func_version);
    AT(PyFunctionObject, vectorcall);
}

int
main(void)
{
    printf("# CPython " PY_VERSION "\n");
    thread_state();
    private_thread_state();
    interpreter_state();
    frames();
    objects();
    return 0;
}
