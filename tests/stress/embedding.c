/* A program that embeds Python: runs the program in argv[2], with argv[2:] as
   sys.argv, argv[1] times over, each time in an interpreter of its own, and
   says how each ended.  With EMBEDDED_THREAD set, a thread that lives as long
   as the process visits each interpreter first, to run that code, and leaves
   its thread state there.  Built by test_shutdown.py. */
#include <Python.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

static int
check(PyStatus status)
{
    if (PyStatus_Exception(status)) {
        fprintf(stderr, "%s: %s\n", status.func, status.err_msg);
        return -1;
    }
    return 0;
}

static int
initialize(const char *executable, int argc, char **argv)
{
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    int r = check(PyConfig_SetBytesString(&config, &config.executable,
                                          executable));
    if (r == 0) {
        r = check(PyConfig_SetBytesArgv(&config, argc, argv));
    }
    if (r == 0) {
        r = check(Py_InitializeFromConfig(&config));
    }
    PyConfig_Clear(&config);
    return r;
}

static int
run_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    return PyRun_SimpleFileEx(file, path, 1);
}

static sem_t come, gone;

static void *
visitor(void *code)
{
    for (;;) {
        while (sem_wait(&come) != 0) {
        }
        PyGILState_Ensure();
        PyRun_SimpleString(code);
        PyEval_SaveThread();
        sem_post(&gone);
    }
    return NULL;
}

static int
start_visitor(char *code)
{
    pthread_t thread;
    return sem_init(&come, 0, 0) != 0 || sem_init(&gone, 0, 0) != 0
           || pthread_create(&thread, NULL, visitor, code) != 0;
}

static void
have_visitor(void)
{
    PyThreadState *mine = PyEval_SaveThread();
    sem_post(&come);
    while (sem_wait(&gone) != 0) {
    }
    PyEval_RestoreThread(mine);
}

int
main(int argc, char **argv)
{
    const char *executable = getenv("EMBEDDED_PYTHON");
    char *visit = getenv("EMBEDDED_THREAD");
    if (visit != NULL && start_visitor(visit) != 0) {
        return 101;
    }
    for (int i = atoi(argv[1]); i > 0; i--) {
        if (initialize(executable, argc - 2, argv + 2) < 0) {
            return 100;
        }
        if (visit != NULL) {
            have_visitor();
        }
        int ran = run_file(argv[2]);
        int finalized = Py_FinalizeEx();
        printf("ran %d, finalized %d\n", ran, finalized);
        fflush(stdout);
    }
    return 0;
}
