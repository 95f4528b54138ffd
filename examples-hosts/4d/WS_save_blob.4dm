// WS_save_blob (client; base64): a binary message arrives in base64; here it becomes a file.
// Not run in 4D: only the commands were checked, each against the function of the header that it stands for (docs/hosts.md).
#DECLARE($client : Integer; $base64 : Text)

var $blob : Blob
BASE64 DECODE($base64; $blob)
BLOB TO DOCUMENT(Temporary folder+"from "+String($client); $blob)
