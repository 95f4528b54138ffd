#!/bin/sh
# Makes a certificate that vouches for itself, for trying things out: certificate.sh [folder [name...]]
# certificate.pem and certificate.key in the folder, for localhost and 127.0.0.1 or the names given, for ten years.
# Clients believe it where they are told to: "tls":{"caFile":"certificate.pem"}.
set -eu
folder=${1:-.}
[ $# -eq 0 ] || shift
names=DNS:localhost,IP:127.0.0.1,IP:::1
for name in "$@"; do names=$names,DNS:$name; done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=${1:-localhost}" \
    -addext "subjectAltName=$names" -keyout "$folder/certificate.key" -out "$folder/certificate.pem" 2>/dev/null
chmod 600 "$folder/certificate.key"
echo "$folder/certificate.pem"
