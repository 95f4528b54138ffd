{ A server that echoes and a client, with callbacks in the main thread's loop. }
program scenario;

{$MODE DELPHI}
{$CODEPAGE UTF8}

uses
  SysUtils, Classes, fpjson, jsonparser, wsplug;

var
  Echo, Client, Deaf: Integer;
  FromServer, FromClient: TStringList;

function Shown(Kind: Integer; const Data: RawByteString): string;
var
  I: Integer;
begin
  if Kind = WSPLUG_TEXT then Exit('text ' + Data);
  Result := 'binary ';
  for I := 1 to Length(Data) do
    Result := Result + LowerCase(IntToHex(Ord(Data[I]), 2));
end;

procedure Happened(Server, Client: Integer; const Kind: string; Context: TJSONObject);
var
  Closed: string;
begin
  if (Server = Echo) and (Kind = 'open') then
  begin
    WriteLn('server: open ', Context.Strings['uri']);
    Send(Client, WSPLUG_TEXT, 'welcome');
  end
  else if (Kind = 'close') and ((Server = Echo) or (Server = 0)) then
  begin
    Closed := Format('close %d %s', [Context.Integers['code'], Context.Strings['reason']]);
    if Server = 0 then FromClient.Add(Closed) else FromServer.Add(Closed);
  end;
end;

{ No exception may leave a callback. }
procedure OnEvent(Server, Client: Integer; Kind, Context, Worker: PAnsiChar; Window, Process: Integer; UserData: Pointer);
  stdcall;
var
  Parsed: TJSONData;
begin
  try
    Parsed := GetJSON(string(Context));
    try
      Happened(Server, Client, string(Kind), Parsed as TJSONObject);
    finally
      Parsed.Free;
    end;
  except
    on Failure: Exception do WriteLn(StdErr, Failure.Message);
  end;
end;

procedure OnMessage(Server, Client, Kind: Integer; Data: Pointer; Count: Integer; UserData: Pointer); stdcall;
var
  Bytes: RawByteString;
begin
  try
    Bytes := BytesAt(Data, Count);
    if Server = 0 then
      FromClient.Add(Shown(Kind, Bytes))
    else if Server = Echo then
    begin
      WriteLn('server: ', Shown(Kind, Bytes));
      Send(Client, Kind, Bytes);
    end;
  except
    on Failure: Exception do WriteLn(StdErr, Failure.Message);
  end;
end;

{ Runs the main loop until something has come. }
function TakeFrom(Inbox: TStringList): string;
begin
  while Inbox.Count = 0 do
    if Check(wsplug_pump(30000, 1)) = 0 then raise Exception.Create('nothing came for 30 seconds');
  Result := Inbox[0];
  Inbox.Delete(0);
end;

function CreateServer(const Options: UTF8String): Integer;
var
  Reply: PAnsiChar;
begin
  Reply := nil;
  Take(wsplug_server_create(PAnsiChar(Options), @Result, @Reply), Reply);
end;

function Start(Server: Integer): Integer;
var
  Reply: PAnsiChar;
  Parsed: TJSONData;
begin
  Reply := nil;
  Parsed := GetJSON(Take(wsplug_server_start(Server, nil, @Reply), Reply));
  Result := (Parsed as TJSONObject).Integers['port'];
  Parsed.Free;
end;

function Connect(Port: Integer; const Path, More: string): Integer;
var
  Options: UTF8String;
  Reply: PAnsiChar;
begin
  Options := Format('{"url":"ws://127.0.0.1:%d%s","enableAutomaticReconnection":false%s}', [Port, Path, More]);
  Reply := nil;
  Take(wsplug_client_create(PAnsiChar(Options), @Result, @Reply), Reply);
  Take(wsplug_client_start(Result, nil, @Reply), Reply);
end;

procedure PrintRefusal(const Reply: UTF8String);
var
  Parsed: TJSONData;
  Error: TJSONObject;
begin
  Parsed := GetJSON(Reply);
  Error := (Parsed as TJSONObject).Objects['error'];
  WriteLn('refused: ', Error.Strings['name'], ', ', Error.Strings['message']);
  Parsed.Free;
end;

var
  Reply: PAnsiChar = nil;

begin
  SetTextCodePage(Output, CP_UTF8);
  SetMultiByteConversionCodePage(CP_UTF8);
  FromServer := TStringList.Create;
  FromClient := TStringList.Create;
  WriteLn('interface ', wsplug_abi_version);
  Take(wsplug_init('{"dispatch":"pump"}', @Reply), Reply);
  try
    CreateServer('{"port":80000}');
  except
    on Refusal: EWsplug do PrintRefusal(Refusal.Reply);
  end;

  Check(wsplug_set_callbacks(OnEvent, OnMessage, nil));
  Echo := CreateServer('{"port":0}');
  Client := Connect(Start(Echo), '/echo?name=ann', '');
  WriteLn('client: ' + TakeFrom(FromClient));
  Send(Client, WSPLUG_TEXT, UTF8String('Grüße, 世界'));
  WriteLn('client: ' + TakeFrom(FromClient));
  Send(Client, WSPLUG_BINARY, RawByteString(#0#255#128#1));
  WriteLn('client: ' + TakeFrom(FromClient));
  Take(wsplug_client_stop(Client, '{"code":4000,"reason":"done"}', @Reply), Reply);
  WriteLn('server: ' + TakeFrom(FromServer));
  WriteLn('client: ' + TakeFrom(FromClient));

  { A server that answers no ping looks as one whose machine is gone. }
  Deaf := CreateServer('{"port":0,"enablePong":false}');
  Connect(Start(Deaf), '/', ',"pingInterval":0.2,"pingTimeout":0.2');
  WriteLn('client: ' + TakeFrom(FromClient));

  WriteLn('shutdown: ', wsplug_status_text(wsplug_shutdown(5000)));
  FromServer.Free;
  FromClient.Free;
end.
