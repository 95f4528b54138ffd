// wsplug for Java 8 and newer, 64 bits, by JNA 5, with Gson.
//
// Each function of include/wsplug.h is here under its own name. take() turns the reply of a command into JSON and frees it:
//
//     PointerByReference reply = new PointerByReference();
//     int port = take(wsplug_server_start(server, null, reply), reply).getAsJsonObject().get("port").getAsInt();
//
// It throws WsplugException where the command failed.
//
// Threads: callbacks run on a thread of the library, one at a time, which JNA makes a daemon thread of Java's. setCallbacks and setMethod
// keep the callbacks alive, without which the garbage collector would free what the library calls, and let no exception
// out. Where callbacks must run on a thread of yours, set "dispatch":"pump" and call wsplug_pump there.
//
// The library (libwsplug.so, libwsplug.dylib, wsplug64.dll) is looked for in the system property jna.library.path and where the
// system looks.

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.sun.jna.Callback;
import com.sun.jna.CallbackThreadInitializer;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Platform;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.IntByReference;
import com.sun.jna.ptr.PointerByReference;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

public final class Wsplug {
    public interface EventHandler {
        void happened(int server, int client, String type, JsonObject context);
    }

    public interface MessageHandler {
        void came(int server, int client, int kind, byte[] data);
    }

    /** A command that failed: its words, its status, the status's name and, where one is wrong, the option. */
    @SuppressWarnings("serial")
    public static final class WsplugException extends RuntimeException {
        public final int status;
        public final String name, option;

        private WsplugException(int status, JsonObject error) {
            super(error.has("message") ? error.get("message").getAsString() : wsplug_status_text(status));
            this.status = status;
            name = error.has("name") ? error.get("name").getAsString() : "";
            option = error.has("option") ? error.get("option").getAsString() : "";
        }
    }

    /** The reply of a command, freed; null if there is none. Throws where the status says that it failed. */
    public static JsonElement take(int status, PointerByReference reply) {
        String text = takeText(reply);
        JsonElement parsed = text == null ? null : JsonParser.parseString(text);
        if (status < 0) {
            boolean tells = parsed != null && parsed.isJsonObject() && parsed.getAsJsonObject().has("error");
            throw new WsplugException(status, tells ? parsed.getAsJsonObject().getAsJsonObject("error") : new JsonObject());
        }
        return parsed;
    }

    /** The text behind a reference, freed; null if there is none. */
    public static String takeText(PointerByReference text) {
        if (text.getValue() == null) return null;
        String copy = text.getValue().getString(0, "UTF-8");
        wsplug_free(text.getValue());
        text.setValue(null);
        return copy;
    }

    /** A status that must not be negative; returns it. */
    public static int check(int status) {
        if (status < 0) throw new WsplugException(status, new JsonObject());
        return status;
    }

    /** Sends a text on a connection. */
    public static void send(int client, String text) {
        send(client, TEXT, text.getBytes(StandardCharsets.UTF_8));
    }

    /** Sends a message of either kind on a connection. */
    public static void send(int client, int kind, byte[] data) {
        PointerByReference reply = new PointerByReference();
        take(wsplug_client_send(client, kind, data, data.length, reply), reply);
    }

    /** Sets what is called for all events that no method takes; both null: none. Messages without onMessage go to onEvent. */
    public static void setCallbacks(EventHandler onEvent, MessageHandler onMessage) {
        Guarded guarded = new Guarded(onEvent, onMessage);
        check(wsplug_set_callbacks(guarded.event, guarded.message, null));
    }

    /** The same for the servers and clients whose option "method" is `name`. */
    public static void setMethod(String name, EventHandler onEvent, MessageHandler onMessage) {
        Guarded guarded = new Guarded(onEvent, onMessage);
        check(wsplug_set_method(name, guarded.event, guarded.message, null));
    }

    /** For ever: one that is replaced inside itself still runs. */
    private static final Queue<Guarded> KEPT = new ConcurrentLinkedQueue<>();
    /** Keeps the library's thread attached to the JVM between two callbacks, as a daemon: it does not keep the JVM alive. */
    private static final CallbackThreadInitializer STAYS = new CallbackThreadInitializer(true, false, "wsplug-events");

    private static final class Guarded {
        final EventCallback event;
        final MessageCallback message;

        Guarded(EventHandler onEvent, MessageHandler onMessage) {
            event = onEvent == null ? null : (server, client, type, context, worker, window, process, userData) -> guard(() ->
                onEvent.happened(server, client, type.getString(0), JsonParser.parseString(context.getString(0, "UTF-8")).getAsJsonObject()));
            message = onMessage == null ? null : (server, client, kind, data, length, userData) -> guard(() ->
                onMessage.came(server, client, kind, length == 0 ? new byte[0] : data.getByteArray(0, length)));
            KEPT.add(this);
            if (event != null) Native.setCallbackThreadInitializer(event, STAYS);
            if (message != null) Native.setCallbackThreadInitializer(message, STAYS);
        }

        private static void guard(Runnable action) {
            try {
                action.run();
            } catch (Throwable thrown) {
                thrown.printStackTrace();
            }
        }
    }

    // --- from include/wsplug.h, by WSPLUG_BLESS=1 cargo test --test header
    public static final int ABI_VERSION = 1;
    public static final int OK = 0;
    public static final int TIMEOUT = 1;
    public static final int INVALID_ARGUMENT = -1;
    public static final int INVALID_OPTIONS = -2;
    public static final int UNKNOWN_REF = -3;
    public static final int WRONG_STATE = -4;
    public static final int QUEUE_FULL = -5;
    public static final int TOO_LARGE = -6;
    public static final int NETWORK = -7;
    public static final int IN_CALLBACK = -8;
    public static final int FORKED = -9;
    public static final int BUFFER_TOO_SMALL = -10;
    public static final int INTERNAL = -99;
    public static final int TEXT = 1;
    public static final int BINARY = 2;
    public static final int PING = 9;
    public static final int PONG = 10;
    public static final int LOG_OFF = 0;
    public static final int LOG_ERROR = 1;
    public static final int LOG_WARN = 2;
    public static final int LOG_INFO = 3;
    public static final int LOG_DEBUG = 4;
    public interface LogCallback extends Callback {
        void invoke(int level, Pointer message, Pointer user_data);
    }
    public interface EventCallback extends Callback {
        void invoke(int server, int client, Pointer type, Pointer context, Pointer worker, int window, int process,
            Pointer user_data);
    }
    public interface MessageCallback extends Callback {
        void invoke(int server, int client, int kind, Pointer data, int length, Pointer user_data);
    }
    public interface WakeupCallback extends Callback {
        void invoke(Pointer user_data);
    }
    public static native int wsplug_init(String options, PointerByReference reply);
    public static native int wsplug_shutdown(int timeout_ms);
    public static native int wsplug_info(PointerByReference reply);
    public static native int wsplug_set_log_callback(int level, LogCallback callback, Pointer user_data);
    public static native String wsplug_status_text(int status);
    public static native void wsplug_free(Pointer text);
    public static native int wsplug_text_copy(String text, byte[] buffer, int capacity);
    public static native String wsplug_version();
    public static native int wsplug_abi_version();
    public static native int wsplug_server_create(String options, IntByReference server, PointerByReference reply);
    public static native int wsplug_server_start(int server, String options, PointerByReference reply);
    public static native int wsplug_server_stop(int server, String options, PointerByReference reply);
    public static native int wsplug_server_send(int server, int kind, byte[] data, int length, String options,
            PointerByReference reply);
    public static native int wsplug_server_clear(int server, PointerByReference reply);
    public static native int wsplug_server_clients(int server, PointerByReference reply);
    public static native int wsplug_server_set(int server, String options, PointerByReference reply);
    public static native int wsplug_server_execute(int server, String procedure, String params,
            PointerByReference reply);
    public static native int wsplug_server_set_value(int server, String key, String value);
    public static native int wsplug_server_get_value(int server, String key, PointerByReference value);
    public static native int wsplug_server_info(int server, PointerByReference reply);
    public static native int wsplug_server_messages(int server, String options, PointerByReference reply);
    public static native int wsplug_client_create(String options, IntByReference client, PointerByReference reply);
    public static native int wsplug_client_start(int client, String options, PointerByReference reply);
    public static native int wsplug_client_stop(int client, String options, PointerByReference reply);
    public static native int wsplug_client_send(int client, int kind, byte[] data, int length,
            PointerByReference reply);
    public static native int wsplug_client_send_with(int client, int kind, byte[] data, int length, String options,
            PointerByReference reply);
    public static native int wsplug_client_clear(int client, PointerByReference reply);
    public static native int wsplug_client_execute(int client, String procedure, String params,
            PointerByReference reply);
    public static native int wsplug_client_set_value(int client, String key, String value);
    public static native int wsplug_client_get_value(int client, String key, PointerByReference value);
    public static native int wsplug_client_info(int client, PointerByReference reply);
    public static native int wsplug_client_messages(int client, String options, PointerByReference reply);
    public static native int wsplug_client_find(String name, IntByReference client);
    public static native int wsplug_client_receive(int client, int timeout_ms, IntByReference kind, byte[] buffer,
            int capacity, IntByReference length);
    public static native int wsplug_client_accept(int client, String options, PointerByReference reply);
    public static native int wsplug_client_reject(int client, String options, PointerByReference reply);
    public static native int wsplug_client_subscribe(int client, String topic, PointerByReference reply);
    public static native int wsplug_client_unsubscribe(int client, String topic, PointerByReference reply);
    public static native int wsplug_server_publish(int server, String topic, int kind, byte[] data, int length,
            String options, PointerByReference reply);
    public static native int wsplug_set_callbacks(EventCallback on_event, MessageCallback on_message,
            Pointer user_data);
    public static native int wsplug_set_method(String name, EventCallback on_event, MessageCallback on_message,
            Pointer user_data);
    public static native int wsplug_event_next(int timeout_ms, PointerByReference event);
    public static native void wsplug_event_wake();
    public static native int wsplug_event_server(Pointer event);
    public static native int wsplug_event_client(Pointer event);
    public static native int wsplug_event_kind(Pointer event);
    public static native int wsplug_event_window(Pointer event);
    public static native int wsplug_event_process(Pointer event);
    public static native String wsplug_event_type(Pointer event);
    public static native String wsplug_event_context(Pointer event);
    public static native String wsplug_event_worker(Pointer event);
    public static native String wsplug_event_method(Pointer event);
    public static native Pointer wsplug_event_data(Pointer event, IntByReference length);
    public static native void wsplug_event_free(Pointer event);
    public static native int wsplug_pump(int timeout_ms, int max);
    public static native int wsplug_set_wakeup(String options, WakeupCallback callback, Pointer user_data,
            PointerByReference reply);
    // --- end of what is from include/wsplug.h

    static {
        Map<String, Object> options = new HashMap<>();
        options.put(Library.OPTION_STRING_ENCODING, "UTF-8");
        Native.register(Wsplug.class, NativeLibrary.getInstance(Platform.isWindows() ? "wsplug64" : "wsplug", options));
    }

    private Wsplug() {}
}
