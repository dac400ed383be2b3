# shellcheck shell=bash
# The cluster's programs: built once for each state of node/, and kept outside of any clone.

CACHE=${KEYWARD_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyward/cluster}

# The digest of what is built, and with what. Go's version counts where there is one: what was built by another serves
# as well on a machine that has none.
binaries_key() {
  local sources
  sources=$(cd "$HERE/node" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
  if is_there go; then
    echo "$sources-$(cd / && GOTOOLCHAIN=local go env GOVERSION)-$(uname -m)"
  else
    find "$CACHE" -mindepth 1 -maxdepth 1 -type d -name "$sources-*-$(uname -m)" -printf '%f\n' 2>/dev/null | head -n 1
  fi
}

binaries_built() {
  local key
  key=$(binaries_key)
  BIN=$CACHE/$key
  [ -n "$key" ] && [ -d "$BIN" ]
}

# Sets BIN, and builds what is not there. A folder in the cache is whole: it appears by one rename.
binaries() {
  binaries_built && return
  mkdir -p "$CACHE"
  exec 9>"$CACHE/lock"
  flock 9 # somebody else may be building the same
  if ! binaries_built; then
    local part started=$SECONDS
    rm -rf "$CACHE"/part.* # of a build that was killed: whoever builds holds the lock
    part=$(mktemp -d "$CACHE/part.XXXXXX")
    say "building Kubernetes, etcd, CoreDNS and helm into $BIN"
    say 'about ten minutes on two processors, once; later runs and other clones use the same'
    if ! "$HERE/node/build" "$part"; then
      rm -rf "$part"
      die 'the build failed'
    fi
    chmod 755 "$part"
    mv -T "$part" "$BIN"
    say "built in $((SECONDS - started)) s"
  fi
  exec 9>&-
}
