/* Versions, statuses in words, and texts copied for hosts that cannot follow a pointer. */
#include "check.h"

int main(void)
{
    char buffer[8];
    int major = -1, minor = -1, patch = -1;
    begin();
    CHECK_INT(wsplug_abi_version(), WSPLUG_ABI_VERSION);
    CHECK(sscanf(wsplug_version(), "%d.%d.%d", &major, &minor, &patch) == 3);

    const int32_t statuses[] = {
        WSPLUG_OK, WSPLUG_TIMEOUT, WSPLUG_INVALID_ARGUMENT, WSPLUG_INVALID_OPTIONS, WSPLUG_UNKNOWN_REF,
        WSPLUG_WRONG_STATE, WSPLUG_QUEUE_FULL, WSPLUG_TOO_LARGE, WSPLUG_NETWORK, WSPLUG_IN_CALLBACK,
        WSPLUG_FORKED, WSPLUG_BUFFER_TOO_SMALL, WSPLUG_INTERNAL, 12345,
    };
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        const char *text = wsplug_status_text(statuses[i]);
        CHECK(text != NULL && *text != 0);
        CHECK(wsplug_status_text(statuses[i]) == text);
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(text, wsplug_status_text(statuses[j])) != 0);
    }

    /* The bytes needed, the NUL among them; what does not fit is cut off between two characters. */
    CHECK_INT(wsplug_text_copy("hello", NULL, 0), 6);
    memset(buffer, 'x', sizeof buffer);
    CHECK_INT(wsplug_text_copy("hello", buffer, 6), 6);
    CHECK_TEXT(buffer, "hello");
    CHECK_INT(buffer[6], 'x');
    CHECK_INT(wsplug_text_copy("hello", buffer, 3), 6);
    CHECK_TEXT(buffer, "he");
    CHECK_INT(wsplug_text_copy("h\xC3\xA9llo", buffer, 3), 7);
    CHECK_TEXT(buffer, "h");
    CHECK_INT(wsplug_text_copy("hello", buffer, 1), 6);
    CHECK_TEXT(buffer, "");
    memset(buffer, 'x', sizeof buffer);
    CHECK_INT(wsplug_text_copy("hello", buffer, 0), 6);
    CHECK_INT(buffer[0], 'x');
    CHECK_INT(wsplug_text_copy("", buffer, sizeof buffer), 1);
    CHECK_TEXT(buffer, "");
    memset(buffer, 'x', sizeof buffer);
    CHECK_INT(wsplug_text_copy("hello", buffer, -1), 6);
    CHECK_INT(buffer[0], 'x');
    CHECK_INT(wsplug_text_copy("hello", NULL, 5), 6);
    CHECK_INT(wsplug_text_copy(NULL, buffer, sizeof buffer), 1);
    CHECK_TEXT(buffer, "");
    wsplug_free(NULL);
    return finish();
}
