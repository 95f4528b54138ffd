/*
 * What the system knows of this process: its threads, open files, memory and signals; and what ends it when it hangs.
 */
#ifndef PROCESS_H
#define PROCESS_H

#ifdef _WIN32
#include "../windows/process.h"
#else

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Entries of a folder. */
static inline int entries(const char *folder)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return -1;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static inline int threads_now(void)
{
    return entries("/proc/self/task");
}

/* How many threads have a name that begins so. */
static inline int threads_named(const char *prefix)
{
    char path[300], name[32];
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        count += fgets(name, sizeof name, file) != NULL && strncmp(name, prefix, strlen(prefix)) == 0;
        fclose(file);
    }
    closedir(dir);
    return count;
}

/* That stay open once the network and threads were used. */
enum { FILES_KEPT = 0 };

static inline int files_now(void)
{
    return entries("/proc/self/fd");
}

static inline int64_t resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
        return -1;
    fclose(file);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static inline void watchdog(int signal)
{
    static const char message[] = "watchdog: the program hangs\n";
    (void)signal;
    _exit(write(STDERR_FILENO, message, sizeof message - 1) < 0 ? 3 : 2);
}

/* Ends the program when it takes longer. */
static inline void end_after(int64_t ms)
{
    signal(SIGALRM, watchdog);
    alarm((unsigned)(ms / 1000));
}

static struct sigaction signals_before[NSIG];

/* False if SIGPIPE is not as a program finds it: it would kill. */
static inline bool remember_signals(void)
{
    for (int number = 1; number < NSIG; number++)
        sigaction(number, NULL, &signals_before[number]);
    return signals_before[SIGPIPE].sa_handler == SIG_DFL;
}

/* The signal whose handler is another one now, or 0. */
static inline int changed_signal(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction now;
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler != signals_before[number].sa_handler)
            return number;
    }
    return 0;
}

#endif
#endif
