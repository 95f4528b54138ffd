Attribute VB_Name = "WSPlug"
' wsplug for VBA 7 (Excel, Access, Word 2010 and newer). The declarations are checked against the header; none of this was run in
' an Office program.
'
' Each function of include/wsplug.h is here under its own name. Texts are UTF-8 for the library, so they go through Utf8:
'
'     Dim options() As Byte, server As Long, reply As LongPtr
'     options = Utf8("{""port"":8080}")
'     If wsplug_server_create(VarPtr(options(0)), server, reply) <> WSPLUG_OK Then MsgBox TakeText(reply) Else TakeText reply
'
' Threads: a callback from another thread crashes VBA, so set none. Ask with wsplug_event_next(0, event) in Application.OnTime, in a
' timer of a form, or in a loop with DoEvents; OnEvents below is the loop's body. Call wsplug_shutdown 5000 before the program ends.
Option Explicit

' from include/wsplug.h, by WSPLUG_BLESS=1 cargo test --test header
Public Const WSPLUG_HEADER_ABI_VERSION As Long = 1
Public Const WSPLUG_OK As Long = 0
Public Const WSPLUG_TIMEOUT As Long = 1
Public Const WSPLUG_INVALID_ARGUMENT As Long = -1
Public Const WSPLUG_INVALID_OPTIONS As Long = -2
Public Const WSPLUG_UNKNOWN_REF As Long = -3
Public Const WSPLUG_WRONG_STATE As Long = -4
Public Const WSPLUG_QUEUE_FULL As Long = -5
Public Const WSPLUG_TOO_LARGE As Long = -6
Public Const WSPLUG_NETWORK As Long = -7
Public Const WSPLUG_IN_CALLBACK As Long = -8
Public Const WSPLUG_FORKED As Long = -9
Public Const WSPLUG_BUFFER_TOO_SMALL As Long = -10
Public Const WSPLUG_INTERNAL As Long = -99
Public Const WSPLUG_TEXT As Long = 1
Public Const WSPLUG_BINARY As Long = 2
Public Const WSPLUG_PING As Long = 9
Public Const WSPLUG_PONG As Long = 10
Public Const WSPLUG_LOG_OFF As Long = 0
Public Const WSPLUG_LOG_ERROR As Long = 1
Public Const WSPLUG_LOG_WARN As Long = 2
Public Const WSPLUG_LOG_INFO As Long = 3
Public Const WSPLUG_LOG_DEBUG As Long = 4
#If Win64 Then
Public Declare PtrSafe Function wsplug_init Lib "wsplug64.dll" (ByVal options As LongPtr, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_shutdown Lib "wsplug64.dll" (ByVal timeout_ms As Long) As Long
Public Declare PtrSafe Function wsplug_info Lib "wsplug64.dll" (ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_set_log_callback Lib "wsplug64.dll" (ByVal level As Long, _
        ByVal callback As LongPtr, ByVal user_data As LongPtr) As Long
Public Declare PtrSafe Function wsplug_status_text Lib "wsplug64.dll" (ByVal status As Long) As LongPtr
Public Declare PtrSafe Sub wsplug_free Lib "wsplug64.dll" (ByVal text As LongPtr)
Public Declare PtrSafe Function wsplug_text_copy Lib "wsplug64.dll" (ByVal text As LongPtr, ByVal buffer As LongPtr, _
        ByVal capacity As Long) As Long
Public Declare PtrSafe Function wsplug_version Lib "wsplug64.dll" () As LongPtr
Public Declare PtrSafe Function wsplug_abi_version Lib "wsplug64.dll" () As Long
Public Declare PtrSafe Function wsplug_server_create Lib "wsplug64.dll" (ByVal options As LongPtr, _
        ByRef server As Long, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_start Lib "wsplug64.dll" (ByVal server As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_stop Lib "wsplug64.dll" (ByVal server As Long, ByVal options As LongPtr, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_send Lib "wsplug64.dll" (ByVal server As Long, ByVal kind As Long, _
        ByVal data As LongPtr, ByVal length As Long, ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_clear Lib "wsplug64.dll" (ByVal server As Long, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_clients Lib "wsplug64.dll" (ByVal server As Long, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_set Lib "wsplug64.dll" (ByVal server As Long, ByVal options As LongPtr, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_execute Lib "wsplug64.dll" (ByVal server As Long, _
        ByVal procedure As LongPtr, ByVal params As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_set_value Lib "wsplug64.dll" (ByVal server As Long, _
        ByVal key As LongPtr, ByVal value As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_get_value Lib "wsplug64.dll" (ByVal server As Long, _
        ByVal key As LongPtr, ByRef value As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_info Lib "wsplug64.dll" (ByVal server As Long, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_messages Lib "wsplug64.dll" (ByVal server As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_create Lib "wsplug64.dll" (ByVal options As LongPtr, _
        ByRef client As Long, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_start Lib "wsplug64.dll" (ByVal client As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_stop Lib "wsplug64.dll" (ByVal client As Long, ByVal options As LongPtr, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_send Lib "wsplug64.dll" (ByVal client As Long, ByVal kind As Long, _
        ByVal data As LongPtr, ByVal length As Long, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_send_with Lib "wsplug64.dll" (ByVal client As Long, ByVal kind As Long, _
        ByVal data As LongPtr, ByVal length As Long, ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_clear Lib "wsplug64.dll" (ByVal client As Long, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_execute Lib "wsplug64.dll" (ByVal client As Long, _
        ByVal procedure As LongPtr, ByVal params As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_set_value Lib "wsplug64.dll" (ByVal client As Long, _
        ByVal key As LongPtr, ByVal value As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_get_value Lib "wsplug64.dll" (ByVal client As Long, _
        ByVal key As LongPtr, ByRef value As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_info Lib "wsplug64.dll" (ByVal client As Long, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_messages Lib "wsplug64.dll" (ByVal client As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_find Lib "wsplug64.dll" (ByVal name As LongPtr, _
        ByRef client As Long) As Long
Public Declare PtrSafe Function wsplug_client_receive Lib "wsplug64.dll" (ByVal client As Long, _
        ByVal timeout_ms As Long, ByRef kind As Long, ByVal buffer As LongPtr, ByVal capacity As Long, _
        ByRef length As Long) As Long
Public Declare PtrSafe Function wsplug_client_accept Lib "wsplug64.dll" (ByVal client As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_reject Lib "wsplug64.dll" (ByVal client As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_subscribe Lib "wsplug64.dll" (ByVal client As Long, _
        ByVal topic As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_unsubscribe Lib "wsplug64.dll" (ByVal client As Long, _
        ByVal topic As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_publish Lib "wsplug64.dll" (ByVal server As Long, _
        ByVal topic As LongPtr, ByVal kind As Long, ByVal data As LongPtr, ByVal length As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_set_callbacks Lib "wsplug64.dll" (ByVal on_event As LongPtr, _
        ByVal on_message As LongPtr, ByVal user_data As LongPtr) As Long
Public Declare PtrSafe Function wsplug_set_method Lib "wsplug64.dll" (ByVal name As LongPtr, _
        ByVal on_event As LongPtr, ByVal on_message As LongPtr, ByVal user_data As LongPtr) As Long
Public Declare PtrSafe Function wsplug_event_next Lib "wsplug64.dll" (ByVal timeout_ms As Long, _
        ByRef taken As LongPtr) As Long
Public Declare PtrSafe Sub wsplug_event_wake Lib "wsplug64.dll" ()
Public Declare PtrSafe Function wsplug_event_server Lib "wsplug64.dll" (ByVal taken As LongPtr) As Long
Public Declare PtrSafe Function wsplug_event_client Lib "wsplug64.dll" (ByVal taken As LongPtr) As Long
Public Declare PtrSafe Function wsplug_event_kind Lib "wsplug64.dll" (ByVal taken As LongPtr) As Long
Public Declare PtrSafe Function wsplug_event_window Lib "wsplug64.dll" (ByVal taken As LongPtr) As Long
Public Declare PtrSafe Function wsplug_event_process Lib "wsplug64.dll" (ByVal taken As LongPtr) As Long
Public Declare PtrSafe Function wsplug_event_type Lib "wsplug64.dll" (ByVal taken As LongPtr) As LongPtr
Public Declare PtrSafe Function wsplug_event_context Lib "wsplug64.dll" (ByVal taken As LongPtr) As LongPtr
Public Declare PtrSafe Function wsplug_event_worker Lib "wsplug64.dll" (ByVal taken As LongPtr) As LongPtr
Public Declare PtrSafe Function wsplug_event_method Lib "wsplug64.dll" (ByVal taken As LongPtr) As LongPtr
Public Declare PtrSafe Function wsplug_event_data Lib "wsplug64.dll" (ByVal taken As LongPtr, _
        ByRef length As Long) As LongPtr
Public Declare PtrSafe Sub wsplug_event_free Lib "wsplug64.dll" (ByVal taken As LongPtr)
Public Declare PtrSafe Function wsplug_pump Lib "wsplug64.dll" (ByVal timeout_ms As Long, ByVal max As Long) As Long
Public Declare PtrSafe Function wsplug_set_wakeup Lib "wsplug64.dll" (ByVal options As LongPtr, _
        ByVal callback As LongPtr, ByVal user_data As LongPtr, ByRef reply As LongPtr) As Long
#Else
Public Declare PtrSafe Function wsplug_init Lib "wsplug32.dll" (ByVal options As LongPtr, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_shutdown Lib "wsplug32.dll" (ByVal timeout_ms As Long) As Long
Public Declare PtrSafe Function wsplug_info Lib "wsplug32.dll" (ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_set_log_callback Lib "wsplug32.dll" (ByVal level As Long, _
        ByVal callback As LongPtr, ByVal user_data As LongPtr) As Long
Public Declare PtrSafe Function wsplug_status_text Lib "wsplug32.dll" (ByVal status As Long) As LongPtr
Public Declare PtrSafe Sub wsplug_free Lib "wsplug32.dll" (ByVal text As LongPtr)
Public Declare PtrSafe Function wsplug_text_copy Lib "wsplug32.dll" (ByVal text As LongPtr, ByVal buffer As LongPtr, _
        ByVal capacity As Long) As Long
Public Declare PtrSafe Function wsplug_version Lib "wsplug32.dll" () As LongPtr
Public Declare PtrSafe Function wsplug_abi_version Lib "wsplug32.dll" () As Long
Public Declare PtrSafe Function wsplug_server_create Lib "wsplug32.dll" (ByVal options As LongPtr, _
        ByRef server As Long, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_start Lib "wsplug32.dll" (ByVal server As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_stop Lib "wsplug32.dll" (ByVal server As Long, ByVal options As LongPtr, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_send Lib "wsplug32.dll" (ByVal server As Long, ByVal kind As Long, _
        ByVal data As LongPtr, ByVal length As Long, ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_clear Lib "wsplug32.dll" (ByVal server As Long, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_clients Lib "wsplug32.dll" (ByVal server As Long, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_set Lib "wsplug32.dll" (ByVal server As Long, ByVal options As LongPtr, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_execute Lib "wsplug32.dll" (ByVal server As Long, _
        ByVal procedure As LongPtr, ByVal params As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_set_value Lib "wsplug32.dll" (ByVal server As Long, _
        ByVal key As LongPtr, ByVal value As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_get_value Lib "wsplug32.dll" (ByVal server As Long, _
        ByVal key As LongPtr, ByRef value As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_info Lib "wsplug32.dll" (ByVal server As Long, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_messages Lib "wsplug32.dll" (ByVal server As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_create Lib "wsplug32.dll" (ByVal options As LongPtr, _
        ByRef client As Long, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_start Lib "wsplug32.dll" (ByVal client As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_stop Lib "wsplug32.dll" (ByVal client As Long, ByVal options As LongPtr, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_send Lib "wsplug32.dll" (ByVal client As Long, ByVal kind As Long, _
        ByVal data As LongPtr, ByVal length As Long, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_send_with Lib "wsplug32.dll" (ByVal client As Long, ByVal kind As Long, _
        ByVal data As LongPtr, ByVal length As Long, ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_clear Lib "wsplug32.dll" (ByVal client As Long, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_execute Lib "wsplug32.dll" (ByVal client As Long, _
        ByVal procedure As LongPtr, ByVal params As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_set_value Lib "wsplug32.dll" (ByVal client As Long, _
        ByVal key As LongPtr, ByVal value As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_get_value Lib "wsplug32.dll" (ByVal client As Long, _
        ByVal key As LongPtr, ByRef value As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_info Lib "wsplug32.dll" (ByVal client As Long, _
        ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_messages Lib "wsplug32.dll" (ByVal client As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_find Lib "wsplug32.dll" (ByVal name As LongPtr, _
        ByRef client As Long) As Long
Public Declare PtrSafe Function wsplug_client_receive Lib "wsplug32.dll" (ByVal client As Long, _
        ByVal timeout_ms As Long, ByRef kind As Long, ByVal buffer As LongPtr, ByVal capacity As Long, _
        ByRef length As Long) As Long
Public Declare PtrSafe Function wsplug_client_accept Lib "wsplug32.dll" (ByVal client As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_reject Lib "wsplug32.dll" (ByVal client As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_subscribe Lib "wsplug32.dll" (ByVal client As Long, _
        ByVal topic As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_client_unsubscribe Lib "wsplug32.dll" (ByVal client As Long, _
        ByVal topic As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_server_publish Lib "wsplug32.dll" (ByVal server As Long, _
        ByVal topic As LongPtr, ByVal kind As Long, ByVal data As LongPtr, ByVal length As Long, _
        ByVal options As LongPtr, ByRef reply As LongPtr) As Long
Public Declare PtrSafe Function wsplug_set_callbacks Lib "wsplug32.dll" (ByVal on_event As LongPtr, _
        ByVal on_message As LongPtr, ByVal user_data As LongPtr) As Long
Public Declare PtrSafe Function wsplug_set_method Lib "wsplug32.dll" (ByVal name As LongPtr, _
        ByVal on_event As LongPtr, ByVal on_message As LongPtr, ByVal user_data As LongPtr) As Long
Public Declare PtrSafe Function wsplug_event_next Lib "wsplug32.dll" (ByVal timeout_ms As Long, _
        ByRef taken As LongPtr) As Long
Public Declare PtrSafe Sub wsplug_event_wake Lib "wsplug32.dll" ()
Public Declare PtrSafe Function wsplug_event_server Lib "wsplug32.dll" (ByVal taken As LongPtr) As Long
Public Declare PtrSafe Function wsplug_event_client Lib "wsplug32.dll" (ByVal taken As LongPtr) As Long
Public Declare PtrSafe Function wsplug_event_kind Lib "wsplug32.dll" (ByVal taken As LongPtr) As Long
Public Declare PtrSafe Function wsplug_event_window Lib "wsplug32.dll" (ByVal taken As LongPtr) As Long
Public Declare PtrSafe Function wsplug_event_process Lib "wsplug32.dll" (ByVal taken As LongPtr) As Long
Public Declare PtrSafe Function wsplug_event_type Lib "wsplug32.dll" (ByVal taken As LongPtr) As LongPtr
Public Declare PtrSafe Function wsplug_event_context Lib "wsplug32.dll" (ByVal taken As LongPtr) As LongPtr
Public Declare PtrSafe Function wsplug_event_worker Lib "wsplug32.dll" (ByVal taken As LongPtr) As LongPtr
Public Declare PtrSafe Function wsplug_event_method Lib "wsplug32.dll" (ByVal taken As LongPtr) As LongPtr
Public Declare PtrSafe Function wsplug_event_data Lib "wsplug32.dll" (ByVal taken As LongPtr, _
        ByRef length As Long) As LongPtr
Public Declare PtrSafe Sub wsplug_event_free Lib "wsplug32.dll" (ByVal taken As LongPtr)
Public Declare PtrSafe Function wsplug_pump Lib "wsplug32.dll" (ByVal timeout_ms As Long, ByVal max As Long) As Long
Public Declare PtrSafe Function wsplug_set_wakeup Lib "wsplug32.dll" (ByVal options As LongPtr, _
        ByVal callback As LongPtr, ByVal user_data As LongPtr, ByRef reply As LongPtr) As Long
#End If
' end of what is from include/wsplug.h

Private Declare PtrSafe Function WideCharToMultiByte Lib "kernel32" (ByVal codePage As Long, ByVal flags As Long, _
        ByVal wide As LongPtr, ByVal wideLength As Long, ByVal bytes As LongPtr, ByVal byteLength As Long, _
        ByVal defaultChar As LongPtr, ByVal usedDefault As LongPtr) As Long
Private Declare PtrSafe Function MultiByteToWideChar Lib "kernel32" (ByVal codePage As Long, ByVal flags As Long, _
        ByVal bytes As LongPtr, ByVal byteLength As Long, ByVal wide As LongPtr, ByVal wideLength As Long) As Long
Private Const UTF_8 As Long = 65001

' A text as UTF-8 with a NUL behind it: pass VarPtr(result(0)). Its length without the NUL is UBound(result).
Public Function Utf8(ByVal text As String) As Byte()
    Dim needed As Long, bytes() As Byte
    needed = WideCharToMultiByte(UTF_8, 0, StrPtr(text), -1, 0, 0, 0, 0)
    ReDim bytes(0 To needed - 1)
    WideCharToMultiByte UTF_8, 0, StrPtr(text), -1, VarPtr(bytes(0)), needed, 0, 0
    Utf8 = bytes
End Function

' A text of the library's.
Public Function TextAt(ByVal text As LongPtr) As String
    Dim needed As Long, bytes() As Byte, wide As String
    needed = wsplug_text_copy(text, 0, 0)
    If needed <= 1 Then Exit Function
    ReDim bytes(0 To needed - 1)
    wsplug_text_copy text, VarPtr(bytes(0)), needed
    wide = String$(MultiByteToWideChar(UTF_8, 0, VarPtr(bytes(0)), needed - 1, 0, 0), vbNullChar)
    MultiByteToWideChar UTF_8, 0, VarPtr(bytes(0)), needed - 1, StrPtr(wide), Len(wide)
    TextAt = wide
End Function

' A reply, which is freed.
Public Function TakeText(ByRef text As LongPtr) As String
    TakeText = TextAt(text)
    wsplug_free text
    text = 0
End Function

' Sends a text on a connection; the status.
Public Function SendText(ByVal client As Long, ByVal text As String) As Long
    Dim bytes() As Byte, reply As LongPtr
    bytes = Utf8(text)
    SendText = wsplug_client_send(client, WSPLUG_TEXT, VarPtr(bytes(0)), UBound(bytes), reply)
    TakeText reply
End Function

' Takes what has happened; here it only prints it.
Public Sub OnEvents()
    Dim taken As LongPtr
    Do While wsplug_event_next(0, taken) = WSPLUG_OK
        Debug.Print wsplug_event_client(taken), TextAt(wsplug_event_type(taken)), TextAt(wsplug_event_context(taken))
        wsplug_event_free taken
    Loop
End Sub
