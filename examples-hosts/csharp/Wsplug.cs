// wsplug for C#: .NET Framework 4.7.2, Mono 6 and .NET 5 or newer, by P/Invoke.
//
// Each function of include/wsplug.h is here under its own name. Take() turns the reply of a command into an object and frees it:
//
//     var port = (int)Wsplug.Take(Wsplug.wsplug_server_start(server, null, out var reply), reply).Element("port");
//
// It throws WsplugException where the command failed. A reply is an XElement whose elements are the fields (an array's are called
// "item"), which every .NET has without a package; use another JSON library as you like.
//
// Threads: callbacks run on a thread of the library, one at a time. SetCallbacks and SetMethod keep the delegates alive, without which
// the garbage collector would free what the library calls, and let no exception out of them: it would end the process. In a
// program with windows, set "dispatch":"pump" and call wsplug_pump(0, 0) in a timer: callbacks then run on that timer's thread.
//
// The library is looked for as libwsplug.so or libwsplug.dylib. On Windows it is wsplug64.dll in a process of 64 bits and wsplug32.dll in one of 32:
// define WSPLUG64 where you build for x64, WSPLUG32 where you build for x86 (csc -define:WSPLUG64; DefineConstants in a project), and put
// that file beside the program. A program for both (AnyCPU) defines neither and finds whichever was put there under the name wsplug.dll.

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Runtime.Serialization.Json;
using System.Text;
using System.Xml;
using System.Xml.Linq;

public delegate void EventHandler(int server, int client, string type, XElement context);

public delegate void MessageHandler(int server, int client, int kind, byte[] data);

/// A command that failed: its words, its status, the status's name and, where one is wrong, the option.
public sealed class WsplugException : Exception
{
    public readonly int Status;
    public readonly string Name, Option;

    public WsplugException(int status, XElement error)
        : base((string)error?.Element("message") ?? Wsplug.TextAt(Wsplug.wsplug_status_text(status)))
    {
        Status = status;
        Name = (string)error?.Element("name");
        Option = (string)error?.Element("option");
    }
}

public static class Wsplug
{
#if WSPLUG64
    private const string Library = "wsplug64";
#elif WSPLUG32
    private const string Library = "wsplug32";
#else
    private const string Library = "wsplug";
#endif

    /// The reply of a command as an object, freed; null if there is none. Throws where the status says that it failed.
    public static XElement Take(int status, IntPtr reply)
    {
        var text = TakeText(reply);
        var parsed = text == null ? null : Parse(text);
        if (status < 0) throw new WsplugException(status, parsed?.Element("error"));
        return parsed;
    }

    /// The text behind an `out IntPtr`, freed; null if there is none.
    public static string TakeText(IntPtr text)
    {
        if (text == IntPtr.Zero) return null;
        var copy = TextAt(text);
        wsplug_free(text);
        return copy;
    }

    /// A status that must not be negative; returns it.
    public static int Check(int status)
    {
        if (status < 0) throw new WsplugException(status, null);
        return status;
    }

    /// Sends a text on a connection.
    public static void Send(int client, string text)
    {
        Send(client, TEXT, Encoding.UTF8.GetBytes(text));
    }

    /// Sends a message of either kind on a connection.
    public static void Send(int client, int kind, byte[] data)
    {
        Take(wsplug_client_send(client, kind, data, data.Length, out var reply), reply);
    }

    /// Sets what is called for all events that no method takes; both null: none. Messages without onMessage go to onEvent.
    public static void SetCallbacks(EventHandler onEvent, MessageHandler onMessage)
    {
        var pair = Guarded(onEvent, onMessage);
        Check(wsplug_set_callbacks(pair.Item1, pair.Item2, IntPtr.Zero));
    }

    /// The same for the servers and clients whose option "method" is `name`.
    public static void SetMethod(string name, EventHandler onEvent, MessageHandler onMessage)
    {
        var pair = Guarded(onEvent, onMessage);
        Check(wsplug_set_method(name, pair.Item1, pair.Item2, IntPtr.Zero));
    }

    /// A UTF-8 text of C.
    public static string TextAt(IntPtr text)
    {
        var length = 0;
        while (Marshal.ReadByte(text, length) != 0) length++;
        return Encoding.UTF8.GetString(BytesAt(text, length));
    }

    public static byte[] BytesAt(IntPtr data, int length)
    {
        var bytes = new byte[length];
        if (length > 0) Marshal.Copy(data, bytes, 0, length);
        return bytes;
    }

    /// A JSON text as an object.
    public static XElement Parse(string json)
    {
        var bytes = Encoding.UTF8.GetBytes(json);
        using (var reader = JsonReaderWriterFactory.CreateJsonReader(bytes, XmlDictionaryReaderQuotas.Max))
            return XElement.Load(reader);
    }

    // For ever: one that is replaced inside itself still runs.
    private static readonly List<Delegate> Kept = new List<Delegate>();

    private static Tuple<EventCallback, MessageCallback> Guarded(EventHandler onEvent, MessageHandler onMessage)
    {
        EventCallback callEvent = (server, client, type, context, worker, window, process, userData) =>
            Guard(() => onEvent(server, client, TextAt(type), Parse(TextAt(context))));
        MessageCallback callMessage = (server, client, kind, data, length, userData) =>
            Guard(() => onMessage(server, client, kind, BytesAt(data, length)));
        lock (Kept) Kept.AddRange(new Delegate[] { callEvent, callMessage });
        return Tuple.Create(onEvent == null ? null : callEvent, onMessage == null ? null : callMessage);
    }

    private static void Guard(Action action)
    {
        try { action(); }
        catch (Exception exception) { Console.Error.WriteLine(exception); }
    }

    // --- from include/wsplug.h, by WSPLUG_BLESS=1 cargo test --test header
    public const int ABI_VERSION = 1;
    public const int OK = 0;
    public const int TIMEOUT = 1;
    public const int INVALID_ARGUMENT = -1;
    public const int INVALID_OPTIONS = -2;
    public const int UNKNOWN_REF = -3;
    public const int WRONG_STATE = -4;
    public const int QUEUE_FULL = -5;
    public const int TOO_LARGE = -6;
    public const int NETWORK = -7;
    public const int IN_CALLBACK = -8;
    public const int FORKED = -9;
    public const int BUFFER_TOO_SMALL = -10;
    public const int INTERNAL = -99;
    public const int TEXT = 1;
    public const int BINARY = 2;
    public const int PING = 9;
    public const int PONG = 10;
    public const int LOG_OFF = 0;
    public const int LOG_ERROR = 1;
    public const int LOG_WARN = 2;
    public const int LOG_INFO = 3;
    public const int LOG_DEBUG = 4;
    [UnmanagedFunctionPointer(CallingConvention.Winapi)]
    public delegate void LogCallback(int level, IntPtr message, IntPtr user_data);
    [UnmanagedFunctionPointer(CallingConvention.Winapi)]
    public delegate void EventCallback(int server, int client, IntPtr type, IntPtr context, IntPtr worker, int window,
            int process, IntPtr user_data);
    [UnmanagedFunctionPointer(CallingConvention.Winapi)]
    public delegate void MessageCallback(int server, int client, int kind, IntPtr data, int length, IntPtr user_data);
    [UnmanagedFunctionPointer(CallingConvention.Winapi)]
    public delegate void WakeupCallback(IntPtr user_data);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_init([MarshalAs(UnmanagedType.LPUTF8Str)] string options, out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_shutdown(int timeout_ms);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_info(out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_set_log_callback(int level, LogCallback callback, IntPtr user_data);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern IntPtr wsplug_status_text(int status);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern void wsplug_free(IntPtr text);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_text_copy([MarshalAs(UnmanagedType.LPUTF8Str)] string text, byte[] buffer,
            int capacity);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern IntPtr wsplug_version();
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_abi_version();
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_create([MarshalAs(UnmanagedType.LPUTF8Str)] string options, out int server,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_start(int server, [MarshalAs(UnmanagedType.LPUTF8Str)] string options,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_stop(int server, [MarshalAs(UnmanagedType.LPUTF8Str)] string options,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_send(int server, int kind, byte[] data, int length,
            [MarshalAs(UnmanagedType.LPUTF8Str)] string options, out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_clear(int server, out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_clients(int server, out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_set(int server, [MarshalAs(UnmanagedType.LPUTF8Str)] string options,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_execute(int server, [MarshalAs(UnmanagedType.LPUTF8Str)] string procedure,
            [MarshalAs(UnmanagedType.LPUTF8Str)] string @params, out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_set_value(int server, [MarshalAs(UnmanagedType.LPUTF8Str)] string key,
            [MarshalAs(UnmanagedType.LPUTF8Str)] string value);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_get_value(int server, [MarshalAs(UnmanagedType.LPUTF8Str)] string key,
            out IntPtr value);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_info(int server, out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_messages(int server, [MarshalAs(UnmanagedType.LPUTF8Str)] string options,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_create([MarshalAs(UnmanagedType.LPUTF8Str)] string options, out int client,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_start(int client, [MarshalAs(UnmanagedType.LPUTF8Str)] string options,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_stop(int client, [MarshalAs(UnmanagedType.LPUTF8Str)] string options,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_send(int client, int kind, byte[] data, int length, out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_send_with(int client, int kind, byte[] data, int length,
            [MarshalAs(UnmanagedType.LPUTF8Str)] string options, out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_clear(int client, out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_execute(int client, [MarshalAs(UnmanagedType.LPUTF8Str)] string procedure,
            [MarshalAs(UnmanagedType.LPUTF8Str)] string @params, out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_set_value(int client, [MarshalAs(UnmanagedType.LPUTF8Str)] string key,
            [MarshalAs(UnmanagedType.LPUTF8Str)] string value);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_get_value(int client, [MarshalAs(UnmanagedType.LPUTF8Str)] string key,
            out IntPtr value);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_info(int client, out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_messages(int client, [MarshalAs(UnmanagedType.LPUTF8Str)] string options,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_find([MarshalAs(UnmanagedType.LPUTF8Str)] string name, out int client);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_receive(int client, int timeout_ms, out int kind, byte[] buffer,
            int capacity, out int length);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_accept(int client, [MarshalAs(UnmanagedType.LPUTF8Str)] string options,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_reject(int client, [MarshalAs(UnmanagedType.LPUTF8Str)] string options,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_subscribe(int client, [MarshalAs(UnmanagedType.LPUTF8Str)] string topic,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_client_unsubscribe(int client, [MarshalAs(UnmanagedType.LPUTF8Str)] string topic,
            out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_server_publish(int server, [MarshalAs(UnmanagedType.LPUTF8Str)] string topic,
            int kind, byte[] data, int length, [MarshalAs(UnmanagedType.LPUTF8Str)] string options, out IntPtr reply);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_set_callbacks(EventCallback on_event, MessageCallback on_message, IntPtr user_data);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_set_method([MarshalAs(UnmanagedType.LPUTF8Str)] string name, EventCallback on_event,
            MessageCallback on_message, IntPtr user_data);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_event_next(int timeout_ms, out IntPtr @event);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern void wsplug_event_wake();
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_event_server(IntPtr @event);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_event_client(IntPtr @event);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_event_kind(IntPtr @event);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_event_window(IntPtr @event);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_event_process(IntPtr @event);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern IntPtr wsplug_event_type(IntPtr @event);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern IntPtr wsplug_event_context(IntPtr @event);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern IntPtr wsplug_event_worker(IntPtr @event);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern IntPtr wsplug_event_method(IntPtr @event);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern IntPtr wsplug_event_data(IntPtr @event, out int length);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern void wsplug_event_free(IntPtr @event);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_pump(int timeout_ms, int max);
    [DllImport(Library, CallingConvention = CallingConvention.Winapi)]
    public static extern int wsplug_set_wakeup([MarshalAs(UnmanagedType.LPUTF8Str)] string options,
            WakeupCallback callback, IntPtr user_data, out IntPtr reply);
    // --- end of what is from include/wsplug.h
}
