# shellcheck shell=bash
# Whom to trust. The package's own files, not the machine's bundle: others may have added to that one.

# ROOT: puts the bundle below ROOT.
write_certificates() {
  images_need update-ca-certificates ca-certificates
  install -d -m 755 "$1/etc/ssl/certs"
  awk 1 /usr/share/ca-certificates/mozilla/*.crt >"$1/etc/ssl/certs/ca-certificates.crt"
  chmod 644 "$1/etc/ssl/certs/ca-certificates.crt"
}
