# shellcheck shell=bash
# The components' settings: the files of etc/ with this cluster's names in them, and the small ones that are made here.

# FILE [AS]: from etc/ into the state, `@NAME@` replaced.
render() {
  sed -e "s|@STATE@|$STATE|g; s|@ETC@|$ETC|g; s|@PKI@|$PKI|g; s|@NODE@|$NODE|g; s|@NODE_IP@|$NODE_IP|g" \
    -e "s|@POD_CIDR@|$POD_CIDR|g; s|@PAUSE_IMAGE@|$PAUSE_IMAGE|g" \
    -e "s|@REGISTRY_HOST@|$REGISTRY_HOST|g; s|@REGISTRY@|$REGISTRY|g; s|@TLS_REGISTRY@|$TLS_REGISTRY|g" \
    "$HERE/etc/$1" >"$ETC/${2:-$1}"
}

write_settings() {
  local file
  mkdir -p "$ETC/cni" "$ETC/registries/$REGISTRY" "$ETC/registries/$TLS_REGISTRY" "$ETC/sysctl"
  for file in Corefile {audit,coredns-rbac,kube-proxy,kubelet,registry,registry-tls}.yaml containerd.toml; do
    render "$file"
  done
  render cni.conflist cni/10-keyward.conflist
  render hosts.toml "registries/$REGISTRY/hosts.toml"
  render hosts-tls.toml "registries/$TLS_REGISTRY/hosts.toml"
  # The registry takes bcrypt alone. This password guards nothing: the examples print it.
  # shellcheck disable=SC2016 # a salt, no variables
  perl -e 'print "keyward:", crypt("keyward", q($2b$04$keywardkeywardkeywarde)), "\n"' >"$ETC/htpasswd"

  # The node's own processes may name a Service as pods do.
  printf 'nameserver %s\nsearch svc.cluster.local cluster.local\noptions ndots:5\n' "$NODE_IP" >"$ETC/resolv.conf"
  # What pods with dnsPolicy Default get: nobody's address. From an empty file they would get the node's own.
  echo 'nameserver 192.0.2.53' >"$ETC/no-upstream.conf"
  printf '127.0.0.1 localhost\n%s %s %s\n' "$NODE_IP" "$NODE" "$REGISTRY_HOST" >"$ETC/hosts"
  # What the kubelet would set for the whole machine; it is shown them as set already.
  sysctl_looks vm.overcommit_memory 1
  sysctl_looks vm.panic_on_oom 0
  sysctl_looks kernel.panic 10
  sysctl_looks kernel.panic_on_oops 1
  sysctl_looks kernel.keys.root_maxkeys 1000000
  sysctl_looks kernel.keys.root_maxbytes 25000000
}

sysctl_looks() { echo "$2" >"$ETC/sysctl/$1"; }
