/* Options that are not JSON, or not what they should be: a clear error, and nothing has happened. */
#include "check.h"

/* The refusal names the option (none if NULL) and, in its message, each of the words, which blanks separate. */
static void refused(const char *file, int line, int32_t status, const char *option, const char *words)
{
    done(file, line, "the command", status, WSPLUG_INVALID_OPTIONS);
    check_json(file, line, reply, "success", "false");
    check_json(file, line, reply, "error.code", "-2");
    check_json(file, line, reply, "error.name", "'invalid_options'");
    if (option != NULL)
        check_text(file, line, "the option", json_text(reply, "error.option"), option);
    char word[64];
    while (sscanf(words, "%63s", word) == 1) {
        if (strstr(json_text(reply, "error.message"), word) == NULL)
            failed(file, line, "no \"%s\" in %s", word, reply);
        words += strspn(words, " ");
        words += strlen(word);
    }
}

static int32_t made;
#define SERVER(options, option, words) \
    refused(__FILE__, __LINE__, wsplug_server_create((options), &made, replied()), (option), (words))
#define CLIENT(options, option, words) \
    refused(__FILE__, __LINE__, wsplug_client_create((options), &made, replied()), (option), (words))

static void what_is_not_json(void)
{
    REFUSED(WSPLUG_INVALID_ARGUMENT, wsplug_server_create("{\"host\":\"\xFF\xFE\"}", &made, replied()));
    CHECK(strstr(json_text(reply, "error.message"), "UTF-8") != NULL);
    SERVER("{\"port\":80", NULL, "column");
    SERVER("{\"port\":", NULL, "column");
    SERVER("{", NULL, "column");
    SERVER("{\"port\":NaN}", NULL, "column");
    SERVER("{\"port\":Infinity}", NULL, "column");
    SERVER("{'port':80}", NULL, "column");
    SERVER("{\"port\":80} x", NULL, "column");
    SERVER("{\"port\":80,}", NULL, "column");
    SERVER("port=80", NULL, "column");
    SERVER("[]", NULL, "object");
    SERVER("null", NULL, "object");
    SERVER("80", NULL, "object");
    SERVER("\"port\"", NULL, "object");
    SERVER("{\"port\":80,\"port\":81}", NULL, "port twice");
}

static void what_is_nested_deep(void)
{
    enum { DEPTH = 10000 };
    char *deep = calloc(DEPTH * 6 + 32, 1);
    const char *openings[] = {"[", "{\"a\":"};
    for (int i = 0; i < 2; i++) {
        strcpy(deep, "{\"unknown\":");
        char *at = deep + strlen(deep);
        for (int j = 0; j < DEPTH; j++, at += strlen(openings[i]))
            strcpy(at, openings[i]);
        SERVER(deep, NULL, "");
        CLIENT(deep, NULL, "");
    }
    free(deep);
}

static void what_is_huge(void)
{
    enum { SIZE = 100 * 1000 * 1000 };
    char *huge = malloc(SIZE + 1);
    memset(huge, ' ', SIZE);
    huge[SIZE] = 0;
    memcpy(huge, "{\"host\":\"", 9);
    memset(huge + 9, 'x', SIZE - 11);
    huge[SIZE - 2] = '"';
    huge[SIZE - 1] = '}';
    SERVER(huge, NULL, "");
    CHECK(strlen(reply) < 1000);
    free(huge);
}

static void what_has_the_wrong_type_or_is_out_of_range(void)
{
    SERVER("{\"port\":\"80\"}", "port", "port \"80\"");
    SERVER("{\"port\":-1}", "port", "port 65535 -1");
    SERVER("{\"port\":65536}", "port", "port 65535 65536");
    SERVER("{\"port\":80.5}", "port", "port 80.5");
    SERVER("{\"port\":1e300}", "port", "port");
    SERVER("{\"port\":99999999999999999999}", "port", "port");
    SERVER("{\"port\":true}", "port", "port true");
    SERVER("{\"port\":[80]}", "port", "port");
    SERVER("{\"host\":5}", "host", "host 5");
    SERVER("{\"backlog\":\"many\"}", "backlog", "backlog");
    SERVER("{\"maxConnections\":-5}", "maxConnections", "maxConnections -5");
    SERVER("{\"method\":1}", "method", "method 1");
    SERVER("{\"worker\":{}}", "worker", "worker");
    SERVER("{\"window\":\"1\"}", "window", "window");
    SERVER("{\"window\":2147483648}", "window", "window");
    SERVER("{\"process\":1.5}", "process", "process");
    SERVER("{\"dispatch\":\"soon\"}", "dispatch", "dispatch soon thread inline pump");
    SERVER("{\"maxMessage\":-1}", "maxMessage", "maxMessage");
    SERVER("{\"sendQueueBytes\":\"1\"}", "sendQueueBytes", "sendQueueBytes");
    SERVER("{\"handshakeTimeoutMs\":\"soon\"}", "handshakeTimeoutMs", "handshakeTimeoutMs");
    SERVER("{\"closeTimeoutMs\":-1}", "closeTimeoutMs", "closeTimeoutMs");
    SERVER("{\"protocols\":[1]}", "protocols", "protocols");
    SERVER("{\"protocols\":[\"a b\"]}", "protocols", "protocols");
    SERVER("{\"origins\":5}", "origins", "origins");
    SERVER("{\"path\":5}", "path", "path");
    SERVER("{\"auth\":true}", "auth", "auth");
    SERVER("{\"files\":[]}", "files", "files");
    CLIENT("{\"url\":5}", "url", "url");
    CLIENT("{\"url\":\"http://127.0.0.1/\"}", "url", "url http ws");
    CLIENT("{\"url\":\"not a url\"}", "url", "url");
    CLIENT("{\"url\":\"ws://127.0.0.1:99999/\"}", "url", "url");
    CLIENT("{\"url\":\"ws://127.0.0.1/#part\"}", "url", "url");
    CLIENT("{\"url\":\"ws://127.0.0.1/a b\\r\\nX: y\"}", "url", "url");
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"pingInterval\":\"often\"}", "pingInterval", "pingInterval often");
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"pingTimeout\":-7}", "pingTimeout", "pingTimeout -7");
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"enableAutomaticReconnection\":1}", "enableAutomaticReconnection",
           "enableAutomaticReconnection 1");
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"enablePong\":\"yes\"}", "enablePong", "enablePong yes");
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"headers\":{\"X\":\"a\\r\\nY: b\"}}", "headers", "X");
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"headers\":{\"bad name\":\"a\"}}", "headers", "bad");
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"headers\":[]}", "headers", "headers");
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"protocols\":[\"a\\r\\nb\"]}", "protocols", "protocols");
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"perMessageDeflate\":true}", "perMessageDeflate", "perMessageDeflate");
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"perMessageDeflate\":{},\"disablePerMessageDeflate\":true}",
           "disablePerMessageDeflate", "perMessageDeflate");
}

static void what_is_no_proxy_is_named(void)
{
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"proxy\":\"127.0.0.1:3128\"}", "proxy", "http://");
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"proxy\":\"ftp://127.0.0.1\"}", "proxy", "socks5");
    CLIENT("{\"url\":\"ws://127.0.0.1/\",\"proxy\":1}", "proxy", "system");
}

static void what_is_wrong_in_tls_is_named(void)
{
    CLIENT("{\"url\":\"wss://127.0.0.1/\",\"tls\":false}", "tls", "wss");
    CLIENT("{\"url\":\"wss://127.0.0.1/\",\"tls\":1}", "tls", "true, false or an object");
    CLIENT("{\"tls\":{\"caFile\":1}}", "tls", "caFile");
    CLIENT("{\"tls\":{\"keyFile\":\"a.key\"}}", "tls", "certFile");
    CLIENT("{\"tls\":{\"disableHostnameValidation\":1}}", "tls", "disableHostnameValidation");
    CLIENT("{\"tls\":{\"minVersion\":\"1.1\"}}", "tls", "1.1 is broken");
    CLIENT("{\"tls\":{\"maxVersion\":\"1.0\"}}", "tls", "1.0 is broken");
    CLIENT("{\"tls\":{\"minVersion\":\"1.4\"}}", "tls", "not 1.4");
    CLIENT("{\"tls\":{\"minVersion\":\"1.3\",\"maxVersion\":\"1.2\"}}", "tls", "newer");
    CLIENT("{\"tls\":{\"ciphers\":[\"RC4\",\"TLS13_AES_128_GCM_SHA256\",\"NULL\"]}}", "tls", "unknown: RC4, NULL");
    CLIENT("{\"tls\":{\"ciphers\":\"RC4\"}}", "tls", "TLS13_AES_256_GCM_SHA384");
    CLIENT("{\"tls\":{\"alpn\":[\"\"]}}", "tls", "alpn");
    SERVER("{\"tls\":true}", "tls", "certFile");
    SERVER("{\"tls\":{}}", "tls", "certFile");
    SERVER("{\"tls\":{\"certificates\":{}}}", "tls", "array");
    SERVER("{\"tls\":{\"certFile\":\"a.pem\",\"keyFile\":\"a.key\",\"clientCaFile\":\"\"}}", "tls", "clientCaFile");
    SERVER("{\"tls\":{\"certificates\":[{}]}}", "tls", "certificates");
}

static void what_is_unknown_is_named(void)
{
    int32_t server = new_server("{\"port\":0,\"prot\":1,\"maxConections\":5,\"zzzzzzzz\":null,\"handshakeTimeoutMS\":7}");
    CHECK(json_has(reply, "ignoredOptions"));
    CHECK_INT(json_count(reply, "ignoredOptions"), 4);
    const char *ignored = json_at(reply, "ignoredOptions");
    CHECK(strstr(ignored, "\"prot\"") != NULL && strstr(ignored, "port") != NULL);
    CHECK(strstr(ignored, "\"maxConections\"") != NULL && strstr(ignored, "maxConnections") != NULL);
    CHECK(strstr(ignored, "\"handshakeTimeoutMS\"") != NULL && strstr(ignored, "handshakeTimeoutMs") != NULL);
    CHECK(strstr(ignored, "\"zzzzzzzz\"") != NULL);

    /* A host hands back the whole reply; nothing in it is unknown. */
    new_server("{\"port\":0}");
    char *whole = strdup(reply);
    DONE(wsplug_server_start(server, whole, replied()));
    CHECK(!json_has(reply, "ignoredOptions"));
    free(whole);
    server = new_server("{\"port\":0}");
    DONE(wsplug_server_start(server, "{\"wrker\":\"w\"}", replied()));
    CHECK(strstr(json_at(reply, "ignoredOptions"), "worker") != NULL);
}

/* A refused change leaves everything as it was. */
static void nothing_has_happened(void)
{
    int32_t server = new_server("{\"port\":0,\"worker\":\"old\"}");
    refused(__FILE__, __LINE__, wsplug_server_start(server, "{\"worker\":\"new\",\"window\":\"x\"}", replied()), "window", "window");
    started(server);
    refused(__FILE__, __LINE__, wsplug_server_stop(server, "{\"worker\":7}", replied()), "worker", "worker");
    REFUSED(WSPLUG_WRONG_STATE, wsplug_server_start(server, NULL, NULL));
    refused(__FILE__, __LINE__, wsplug_server_send(server, WSPLUG_TEXT, "x", 1, "{\"clients\":7}", replied()), "clients", "clients");
    refused(__FILE__, __LINE__, wsplug_server_send(server, WSPLUG_TEXT, "x", 1, "{\"clients\":[\"a\"]}", replied()), "clients", "clients");
    refused(__FILE__, __LINE__, wsplug_server_messages(server, "{\"max\":-1}", replied()), "max", "max");
    refused(__FILE__, __LINE__, wsplug_server_messages(server, "{\"timeout\":\"x\"}", replied()), "timeout", "timeout");
    DONE(wsplug_server_stop(server, NULL, replied()));
    CHECK_JSON(reply, "worker", "'old'");

    made = 0;
    SERVER("{\"port\":\"x\"}", "port", "port");
    CHECK_INT(made, 0);

    int32_t client = new_client("{\"url\":\"ws://127.0.0.1:9/\",\"enableAutomaticReconnection\":false}");
    refused(__FILE__, __LINE__, wsplug_client_start(client, "{\"timeout\":-7}", replied()), "timeout", "timeout");
    refused(__FILE__, __LINE__, wsplug_client_stop(client, "{\"code\":\"x\"}", replied()), "code", "code");
    const int codes[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, -1, 70000};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        refused(__FILE__, __LINE__, wsplug_client_stop(client, json("{'code':%d}", codes[i]), replied()), "code", "code");
    char reason[256] = "{\"reason\":\"";
    memset(reason + 11, 'r', 124);
    strcpy(reason + 135, "\"}");
    refused(__FILE__, __LINE__, wsplug_client_stop(client, reason, replied()), "reason", "reason 123");
}

int main(void)
{
    begin();
    what_is_not_json();
    what_is_nested_deep();
    what_is_huge();
    what_has_the_wrong_type_or_is_out_of_range();
    what_is_no_proxy_is_named();
    what_is_wrong_in_tls_is_named();
    what_is_unknown_is_named();
    nothing_has_happened();
    return finish();
}
