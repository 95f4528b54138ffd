/*
 * 32 bits only: each function takes its arguments off the stack itself, as __stdcall says, and as many as the header says.
 * A host that calls with another convention, or with another number of arguments, loses its stack. Arguments: the library's
 * path, then name@bytes for each function; all are called with zeros.
 */
#include "library.h"

/* How much the stack pointer has moved by a call with `bytes` of zeros. */
static int drift(FARPROC function, int bytes)
{
    int before, after;
    __asm__ volatile(
        "movl %%esp, %%edi\n\t" /* kept by the function */
        "movl %[bytes], %%ecx\n\t"
        "1: testl %%ecx, %%ecx\n\t"
        "jz 2f\n\t"
        "pushl $0\n\t"
        "subl $4, %%ecx\n\t"
        "jmp 1b\n\t"
        "2: call *%[function]\n\t"
        "movl %%esp, %%esi\n\t"
        "movl %%edi, %%esp\n\t"
        : "=&D"(before), "=&S"(after)
        : [function] "b"(function), [bytes] "d"(bytes)
        : "eax", "ecx", "memory", "cc");
    return after - before;
}

int main(int count, char **argument)
{
    CHECK(count > 30);
    begin(argument[1]);
    for (int i = 2; i < count; i++) {
        char name[64];
        int bytes = -1;
        CHECK_INT(sscanf(argument[i], "%63[^@]@%d", name, &bytes), 2);
        FARPROC function = GetProcAddress(library, name);
        if (!function)
            failed(__FILE__, __LINE__, "there is no %s", name);
        int moved = drift(function, bytes);
        if (moved)
            failed(__FILE__, __LINE__, "%s leaves the stack %d bytes off after %d bytes of arguments", name, moved, bytes);
        /* The check itself sees what is wrong. */
        CHECK_INT(drift(function, bytes + 4), -4);
    }
    return 0;
}
