// A server that echoes and a client, with callbacks on the library's thread.

using System;
using System.Collections.Concurrent;
using System.Text;
using System.Xml.Linq;

public static class Scenario
{
    private static readonly BlockingCollection<string> FromServer = new BlockingCollection<string>();
    private static readonly BlockingCollection<string> FromClient = new BlockingCollection<string>();
    private static int echo;

    private static void OnEvent(int server, int client, string type, XElement context)
    {
        if (server == echo && type == "open")
        {
            Console.WriteLine("server: open " + (string)context.Element("uri"));
            Wsplug.Send(client, "welcome");
        }
        else if (type == "close" && (server == echo || server == 0))
        {
            var inbox = server == 0 ? FromClient : FromServer;
            inbox.Add("close " + (string)context.Element("code") + " " + (string)context.Element("reason"));
        }
    }

    private static void OnMessage(int server, int client, int kind, byte[] data)
    {
        if (server == 0)
        {
            FromClient.Add(Shown(kind, data));
        }
        else if (server == echo)
        {
            Console.WriteLine("server: " + Shown(kind, data));
            Wsplug.Send(client, kind, data);
        }
    }

    private static string Shown(int kind, byte[] data)
    {
        if (kind == Wsplug.TEXT) return "text " + Encoding.UTF8.GetString(data);
        return "binary " + BitConverter.ToString(data).Replace("-", "").ToLowerInvariant();
    }

    private static string Take(BlockingCollection<string> inbox)
    {
        string what;
        if (!inbox.TryTake(out what, TimeSpan.FromSeconds(30))) throw new TimeoutException("nothing came for 30 seconds");
        return what;
    }

    private static int CreateServer(string options)
    {
        Wsplug.Take(Wsplug.wsplug_server_create(options, out var server, out var reply), reply);
        return server;
    }

    private static int Start(int server)
    {
        return (int)Wsplug.Take(Wsplug.wsplug_server_start(server, null, out var reply), reply).Element("port");
    }

    private static int Connect(int port, string path, string more)
    {
        var options = "{\"url\":\"ws://127.0.0.1:" + port + path + "\",\"enableAutomaticReconnection\":false" + more + "}";
        Wsplug.Take(Wsplug.wsplug_client_create(options, out var client, out var reply), reply);
        Wsplug.Take(Wsplug.wsplug_client_start(client, null, out reply), reply);
        return client;
    }

    public static void Main()
    {
        Console.OutputEncoding = new UTF8Encoding(false);
        Console.WriteLine("interface " + Wsplug.wsplug_abi_version());
        try { CreateServer("{\"port\":80000}"); }
        catch (WsplugException refusal) { Console.WriteLine("refused: " + refusal.Name + ", " + refusal.Message); }

        Wsplug.SetCallbacks(OnEvent, OnMessage);
        echo = CreateServer("{\"port\":0}");
        var client = Connect(Start(echo), "/echo?name=ann", "");
        Console.WriteLine("client: " + Take(FromClient));
        Wsplug.Send(client, "Grüße, 世界");
        Console.WriteLine("client: " + Take(FromClient));
        Wsplug.Send(client, Wsplug.BINARY, new byte[] { 0, 255, 128, 1 });
        Console.WriteLine("client: " + Take(FromClient));
        Wsplug.Take(Wsplug.wsplug_client_stop(client, "{\"code\":4000,\"reason\":\"done\"}", out var stopped), stopped);
        Console.WriteLine("server: " + Take(FromServer));
        Console.WriteLine("client: " + Take(FromClient));

        // A server that answers no ping looks as one whose machine is gone.
        var deaf = CreateServer("{\"port\":0,\"enablePong\":false}");
        Connect(Start(deaf), "/", ",\"pingInterval\":0.2,\"pingTimeout\":0.2");
        Console.WriteLine("client: " + Take(FromClient));

        var status = Wsplug.wsplug_shutdown(5000);
        Console.WriteLine("shutdown: " + Wsplug.TextAt(Wsplug.wsplug_status_text(status)));
    }
}
