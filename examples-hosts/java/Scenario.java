// A server that echoes and a client, with callbacks on the library's thread.

import com.google.gson.JsonObject;
import com.sun.jna.ptr.IntByReference;
import com.sun.jna.ptr.PointerByReference;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

public final class Scenario {
    private static final BlockingQueue<String> fromServer = new LinkedBlockingQueue<>(), fromClient = new LinkedBlockingQueue<>();
    private static PrintStream out;
    private static volatile int echo;

    private static void onEvent(int server, int client, String type, JsonObject context) {
        if (server == echo && type.equals("open")) {
            out.println("server: open " + context.get("uri").getAsString());
            Wsplug.send(client, "welcome");
        } else if (type.equals("close") && (server == echo || server == 0)) {
            String closed = "close " + context.get("code").getAsInt() + " " + context.get("reason").getAsString();
            (server == 0 ? fromClient : fromServer).add(closed);
        }
    }

    private static void onMessage(int server, int client, int kind, byte[] data) {
        if (server == 0) {
            fromClient.add(shown(kind, data));
        } else if (server == echo) {
            out.println("server: " + shown(kind, data));
            Wsplug.send(client, kind, data);
        }
    }

    private static String shown(int kind, byte[] data) {
        if (kind == Wsplug.TEXT) return "text " + new String(data, StandardCharsets.UTF_8);
        StringBuilder digits = new StringBuilder("binary ");
        for (byte one : data) digits.append(String.format("%02x", one));
        return digits.toString();
    }

    private static String take(BlockingQueue<String> inbox) throws InterruptedException {
        String what = inbox.poll(30, TimeUnit.SECONDS);
        if (what == null) throw new IllegalStateException("nothing came for 30 seconds");
        return what;
    }

    private static int createServer(String options) {
        IntByReference server = new IntByReference();
        PointerByReference reply = new PointerByReference();
        Wsplug.take(Wsplug.wsplug_server_create(options, server, reply), reply);
        return server.getValue();
    }

    private static int start(int server) {
        PointerByReference reply = new PointerByReference();
        return Wsplug.take(Wsplug.wsplug_server_start(server, null, reply), reply).getAsJsonObject().get("port").getAsInt();
    }

    private static int connect(int port, String path, String more) {
        String options = "{\"url\":\"ws://127.0.0.1:" + port + path + "\",\"enableAutomaticReconnection\":false" + more + "}";
        IntByReference client = new IntByReference();
        PointerByReference reply = new PointerByReference();
        Wsplug.take(Wsplug.wsplug_client_create(options, client, reply), reply);
        Wsplug.take(Wsplug.wsplug_client_start(client.getValue(), null, reply), reply);
        return client.getValue();
    }

    public static void main(String[] arguments) throws Exception {
        out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8");
        out.println("interface " + Wsplug.wsplug_abi_version());
        try {
            createServer("{\"port\":80000}");
        } catch (Wsplug.WsplugException refusal) {
            out.println("refused: " + refusal.name + ", " + refusal.getMessage());
        }

        Wsplug.setCallbacks(Scenario::onEvent, Scenario::onMessage);
        echo = createServer("{\"port\":0}");
        int client = connect(start(echo), "/echo?name=ann", "");
        out.println("client: " + take(fromClient));
        Wsplug.send(client, "Grüße, 世界");
        out.println("client: " + take(fromClient));
        Wsplug.send(client, Wsplug.BINARY, new byte[] {0, (byte) 255, (byte) 128, 1});
        out.println("client: " + take(fromClient));
        PointerByReference stopped = new PointerByReference();
        Wsplug.take(Wsplug.wsplug_client_stop(client, "{\"code\":4000,\"reason\":\"done\"}", stopped), stopped);
        out.println("server: " + take(fromServer));
        out.println("client: " + take(fromClient));

        // A server that answers no ping looks as one whose machine is gone.
        int deaf = createServer("{\"port\":0,\"enablePong\":false}");
        connect(start(deaf), "/", ",\"pingInterval\":0.2,\"pingTimeout\":0.2");
        out.println("client: " + take(fromClient));

        out.println("shutdown: " + Wsplug.wsplug_status_text(Wsplug.wsplug_shutdown(5000)));
    }
}
