/*
 * For the programs of tests/c: what Windows knows of this process. To be included by tests/c/process.h.
 */
#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <windows.h>
#include <pthread.h>
#include <psapi.h>
#include <tlhelp32.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define pthread_tryjoin_np _pthread_tryjoin

/* The threads of this process, of which those are counted whose names begin so; with NULL all. */
static inline int threads_named(const char *prefix)
{
    typedef HRESULT(WINAPI * get_name)(HANDLE, PWSTR *);
    get_name name_of = (get_name)(uintptr_t)GetProcAddress(GetModuleHandleA("kernelbase.dll"), "GetThreadDescription");
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    THREADENTRY32 entry = {.dwSize = sizeof entry};
    int count = 0;
    for (BOOL more = Thread32First(all, &entry); more; more = Thread32Next(all, &entry)) {
        if (entry.th32OwnerProcessID != GetCurrentProcessId())
            continue;
        if (prefix == NULL) {
            count++;
            continue;
        }
        HANDLE thread = OpenThread(THREAD_QUERY_LIMITED_INFORMATION, FALSE, entry.th32ThreadID);
        PWSTR wide = NULL;
        char name[64] = "";
        if (name_of != NULL && thread != NULL && SUCCEEDED(name_of(thread, &wide))) {
            WideCharToMultiByte(CP_UTF8, 0, wide, -1, name, sizeof name, NULL, NULL);
            LocalFree(wide);
        }
        CloseHandle(thread);
        count += strncmp(name, prefix, strlen(prefix)) == 0;
    }
    CloseHandle(all);
    return count;
}

static inline int threads_now(void)
{
    return threads_named(NULL);
}

/* Handles of the system's own libraries, and of winpthreads for each thread that it meets. */
enum { FILES_KEPT = 16 };

/* Handles of any kind. */
static inline int files_now(void)
{
    /* Wine does not count them. */
    enum { MOST = 4096 };
    int count = 0;
    DWORD flags;
    for (uintptr_t handle = 4; handle < 4 * MOST; handle += 4)
        count += GetHandleInformation((HANDLE)handle, &flags) != 0;
    return count;
}

static inline int64_t resident_bytes(void)
{
    PROCESS_MEMORY_COUNTERS counters;
    return GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters) ? (int64_t)counters.WorkingSetSize : -1;
}

static inline DWORD WINAPI watchdog(void *ms)
{
    Sleep((DWORD)(uintptr_t)ms);
    fprintf(stderr, "watchdog: the program hangs\n");
    fflush(stderr);
    TerminateProcess(GetCurrentProcess(), 2);
    return 0;
}

/* Ends the program when it takes longer. */
static inline void end_after(int64_t ms)
{
    CloseHandle(CreateThread(NULL, 0, watchdog, (void *)(uintptr_t)ms, 0, NULL));
}

/* There are none that a library could change. */
static inline bool remember_signals(void)
{
    return true;
}

static inline int changed_signal(void)
{
    return 0;
}
