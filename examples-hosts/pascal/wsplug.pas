{ wsplug for Free Pascal 3 and Delphi (Delphi was not tried).

  Each function of include/wsplug.h is here under its own name. Take turns the reply of a command into a string and frees it:

      Text := Take(wsplug_server_start(Server, nil, @Reply), Reply);

  It raises EWsplug where the command failed. Replies are JSON: read them with fpjson, or with System.JSON in Delphi.

  Threads: a Pascal program is safest when it is called on threads that it made. So set "dispatch":"pump" and call wsplug_pump in the
  main thread: in the main loop, or in a timer of a program with windows. Callbacks are stdcall, which matters on
  32-bit Windows only, and let no exception out. }
unit wsplug;

{$IFDEF FPC}{$MODE DELPHI}{$ENDIF}

interface

uses
  SysUtils;

const
  {$IF DEFINED(WIN64)}
  WsplugLibrary = 'wsplug64.dll';
  {$ELSEIF DEFINED(WIN32)}
  WsplugLibrary = 'wsplug32.dll';
  {$ELSE}
  WsplugLibrary = 'wsplug'; { libwsplug.so, libwsplug.dylib }
  {$IFEND}

type
  PPAnsiChar = ^PAnsiChar;
  PWsplugEvent = Pointer;
  PPWsplugEvent = ^PWsplugEvent;

  { A command that failed: its message is the reply's (see docs/abi.md), or the status in words. }
  EWsplug = class(Exception)
    Status: Integer;
    Reply: UTF8String;
  end;

{ The reply of a command, freed; '' if there is none. Raises EWsplug where the status says that it failed. }
function Take(Status: Integer; var Reply: PAnsiChar): UTF8String;

{ A status that must not be negative; returns it. }
function Check(Status: Integer): Integer;

{ Sends a text, or with Kind = WSPLUG_BINARY bytes, on a connection. }
procedure Send(Client: Integer; Kind: Integer; const Data: RawByteString);

{ What a message callback is given, as a string. }
function BytesAt(Data: Pointer; Length: Integer): RawByteString;

{ from include/wsplug.h, by WSPLUG_BLESS=1 cargo test --test header }
const
  WSPLUG_HEADER_ABI_VERSION = 1;
  WSPLUG_OK = 0;
  WSPLUG_TIMEOUT = 1;
  WSPLUG_INVALID_ARGUMENT = -1;
  WSPLUG_INVALID_OPTIONS = -2;
  WSPLUG_UNKNOWN_REF = -3;
  WSPLUG_WRONG_STATE = -4;
  WSPLUG_QUEUE_FULL = -5;
  WSPLUG_TOO_LARGE = -6;
  WSPLUG_NETWORK = -7;
  WSPLUG_IN_CALLBACK = -8;
  WSPLUG_FORKED = -9;
  WSPLUG_BUFFER_TOO_SMALL = -10;
  WSPLUG_INTERNAL = -99;
  WSPLUG_TEXT = 1;
  WSPLUG_BINARY = 2;
  WSPLUG_PING = 9;
  WSPLUG_PONG = 10;
  WSPLUG_LOG_OFF = 0;
  WSPLUG_LOG_ERROR = 1;
  WSPLUG_LOG_WARN = 2;
  WSPLUG_LOG_INFO = 3;
  WSPLUG_LOG_DEBUG = 4;
type
  TWsplugLogCallback = procedure(level: Integer; message: PAnsiChar; user_data: Pointer); stdcall;
  TWsplugEventCallback = procedure(server: Integer; client: Integer; type_: PAnsiChar; context: PAnsiChar;
        worker: PAnsiChar; window: Integer; process: Integer; user_data: Pointer); stdcall;
  TWsplugMessageCallback = procedure(server: Integer; client: Integer; kind: Integer; data: Pointer; length: Integer;
        user_data: Pointer); stdcall;
  TWsplugWakeupCallback = procedure(user_data: Pointer); stdcall;
function wsplug_init(options: PAnsiChar; reply: PPAnsiChar): Integer; stdcall; external WsplugLibrary;
function wsplug_shutdown(timeout_ms: Integer): Integer; stdcall; external WsplugLibrary;
function wsplug_info(reply: PPAnsiChar): Integer; stdcall; external WsplugLibrary;
function wsplug_set_log_callback(level: Integer; callback: TWsplugLogCallback; user_data: Pointer): Integer; stdcall;
        external WsplugLibrary;
function wsplug_status_text(status: Integer): PAnsiChar; stdcall; external WsplugLibrary;
procedure wsplug_free(text: Pointer); stdcall; external WsplugLibrary;
function wsplug_text_copy(text: PAnsiChar; buffer: Pointer; capacity: Integer): Integer; stdcall;
        external WsplugLibrary;
function wsplug_version: PAnsiChar; stdcall; external WsplugLibrary;
function wsplug_abi_version: Integer; stdcall; external WsplugLibrary;
function wsplug_server_create(options: PAnsiChar; server: PInteger; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_server_start(server: Integer; options: PAnsiChar; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_server_stop(server: Integer; options: PAnsiChar; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_server_send(server: Integer; kind: Integer; data: Pointer; length: Integer; options: PAnsiChar;
        reply: PPAnsiChar): Integer; stdcall; external WsplugLibrary;
function wsplug_server_clear(server: Integer; reply: PPAnsiChar): Integer; stdcall; external WsplugLibrary;
function wsplug_server_clients(server: Integer; reply: PPAnsiChar): Integer; stdcall; external WsplugLibrary;
function wsplug_server_set(server: Integer; options: PAnsiChar; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_server_execute(server: Integer; procedure_: PAnsiChar; params: PAnsiChar; reply: PPAnsiChar): Integer;
        stdcall; external WsplugLibrary;
function wsplug_server_set_value(server: Integer; key: PAnsiChar; value: PAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_server_get_value(server: Integer; key: PAnsiChar; value: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_server_info(server: Integer; reply: PPAnsiChar): Integer; stdcall; external WsplugLibrary;
function wsplug_server_messages(server: Integer; options: PAnsiChar; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_client_create(options: PAnsiChar; client: PInteger; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_client_start(client: Integer; options: PAnsiChar; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_client_stop(client: Integer; options: PAnsiChar; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_client_send(client: Integer; kind: Integer; data: Pointer; length: Integer; reply: PPAnsiChar): Integer;
        stdcall; external WsplugLibrary;
function wsplug_client_send_with(client: Integer; kind: Integer; data: Pointer; length: Integer; options: PAnsiChar;
        reply: PPAnsiChar): Integer; stdcall; external WsplugLibrary;
function wsplug_client_clear(client: Integer; reply: PPAnsiChar): Integer; stdcall; external WsplugLibrary;
function wsplug_client_execute(client: Integer; procedure_: PAnsiChar; params: PAnsiChar; reply: PPAnsiChar): Integer;
        stdcall; external WsplugLibrary;
function wsplug_client_set_value(client: Integer; key: PAnsiChar; value: PAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_client_get_value(client: Integer; key: PAnsiChar; value: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_client_info(client: Integer; reply: PPAnsiChar): Integer; stdcall; external WsplugLibrary;
function wsplug_client_messages(client: Integer; options: PAnsiChar; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_client_find(name: PAnsiChar; client: PInteger): Integer; stdcall; external WsplugLibrary;
function wsplug_client_receive(client: Integer; timeout_ms: Integer; kind: PInteger; buffer: Pointer; capacity: Integer;
        length: PInteger): Integer; stdcall; external WsplugLibrary;
function wsplug_client_accept(client: Integer; options: PAnsiChar; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_client_reject(client: Integer; options: PAnsiChar; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_client_subscribe(client: Integer; topic: PAnsiChar; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_client_unsubscribe(client: Integer; topic: PAnsiChar; reply: PPAnsiChar): Integer; stdcall;
        external WsplugLibrary;
function wsplug_server_publish(server: Integer; topic: PAnsiChar; kind: Integer; data: Pointer; length: Integer;
        options: PAnsiChar; reply: PPAnsiChar): Integer; stdcall; external WsplugLibrary;
function wsplug_set_callbacks(on_event: TWsplugEventCallback; on_message: TWsplugMessageCallback;
        user_data: Pointer): Integer; stdcall; external WsplugLibrary;
function wsplug_set_method(name: PAnsiChar; on_event: TWsplugEventCallback; on_message: TWsplugMessageCallback;
        user_data: Pointer): Integer; stdcall; external WsplugLibrary;
function wsplug_event_next(timeout_ms: Integer; event: PPWsplugEvent): Integer; stdcall; external WsplugLibrary;
procedure wsplug_event_wake; stdcall; external WsplugLibrary;
function wsplug_event_server(event: PWsplugEvent): Integer; stdcall; external WsplugLibrary;
function wsplug_event_client(event: PWsplugEvent): Integer; stdcall; external WsplugLibrary;
function wsplug_event_kind(event: PWsplugEvent): Integer; stdcall; external WsplugLibrary;
function wsplug_event_window(event: PWsplugEvent): Integer; stdcall; external WsplugLibrary;
function wsplug_event_process(event: PWsplugEvent): Integer; stdcall; external WsplugLibrary;
function wsplug_event_type(event: PWsplugEvent): PAnsiChar; stdcall; external WsplugLibrary;
function wsplug_event_context(event: PWsplugEvent): PAnsiChar; stdcall; external WsplugLibrary;
function wsplug_event_worker(event: PWsplugEvent): PAnsiChar; stdcall; external WsplugLibrary;
function wsplug_event_method(event: PWsplugEvent): PAnsiChar; stdcall; external WsplugLibrary;
function wsplug_event_data(event: PWsplugEvent; length: PInteger): Pointer; stdcall; external WsplugLibrary;
procedure wsplug_event_free(event: PWsplugEvent); stdcall; external WsplugLibrary;
function wsplug_pump(timeout_ms: Integer; max: Integer): Integer; stdcall; external WsplugLibrary;
function wsplug_set_wakeup(options: PAnsiChar; callback: TWsplugWakeupCallback; user_data: Pointer;
        reply: PPAnsiChar): Integer; stdcall; external WsplugLibrary;
{ end of what is from include/wsplug.h }

implementation

function Take(Status: Integer; var Reply: PAnsiChar): UTF8String;
var
  Failure: EWsplug;
begin
  Result := '';
  if Reply <> nil then
  begin
    Result := UTF8String(Reply);
    wsplug_free(Reply);
    Reply := nil;
  end;
  if Status < 0 then
  begin
    Failure := EWsplug.Create(string(wsplug_status_text(Status)) + ': ' + string(Result));
    Failure.Status := Status;
    Failure.Reply := Result;
    raise Failure;
  end;
end;

function Check(Status: Integer): Integer;
var
  None: PAnsiChar;
begin
  None := nil;
  Take(Status, None);
  Result := Status;
end;

procedure Send(Client: Integer; Kind: Integer; const Data: RawByteString);
var
  Reply: PAnsiChar;
begin
  Reply := nil;
  Take(wsplug_client_send(Client, Kind, PAnsiChar(Data), System.Length(Data), @Reply), Reply);
end;

function BytesAt(Data: Pointer; Length: Integer): RawByteString;
begin
  SetString(Result, PAnsiChar(Data), Length);
end;

end.
