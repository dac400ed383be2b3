# shellcheck shell=bash
# How cargo builds a static program. Whatever builds one sources this, so that nothing is built twice.

images_die() {
  printf 'images: %s\n' "$*" >&2
  exit 1
}

# COMMAND PACKAGE: Debian's package, only where the command, or the file, is missing.
images_need() {
  command -v "$1" >/dev/null || [ -e "$1" ] && return
  command -v apt-get >/dev/null || images_die "$1 is missing and there is no apt-get; install it by hand"
  apt-get update -qq >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$2" >/dev/null
}

target_is_installed() { [ -d "$(rustc --print sysroot)/lib/rustlib/$TARGET" ]; }

# linux/amd64 or linux/arm64: sets TARGET and what cargo needs for it.
prepare_cargo() {
  local machine
  case $1 in
    linux/amd64) machine=x86_64 ;;
    linux/arm64) machine=aarch64 ;;
    *) images_die "there is no platform $1: linux/amd64 or linux/arm64" ;;
  esac
  TARGET=$machine-unknown-linux-musl
  images_need make make
  if ! target_is_installed && command -v rustup >/dev/null; then
    rustup target add "$TARGET" >&2 || true
  fi
  if [ "$(uname -m)" = "$machine" ]; then
    images_need musl-gcc musl-tools
  else
    prepare_cross "$machine" "${1#linux/}"
  fi
}

# For what is shipped: no folder of this machine in the program, so that it is the same wherever it is built.
hide_folders() {
  CARGO_ENCODED_RUSTFLAGS=$(printf -- '--remap-path-prefix=%s=/cargo\x1f--remap-path-prefix=%s=/keyward' \
    "${CARGO_HOME:-$HOME/.cargo}" "$PWD")
  export CARGO_ENCODED_RUSTFLAGS
}

# MACHINE DEBIAN: ring and jemalloc compile C, and rustc links by a C compiler. musl-gcc is for the machine's own architecture only; of
# the other one its headers will do.
prepare_cross() {
  local compiler=$1-linux-gnu-gcc headers=/usr/include/$1-linux-musl name=${TARGET//-/_} flags
  images_need "$compiler" "gcc-${1//_/-}-linux-gnu"
  [ -e "$headers/string.h" ] || dpkg --add-architecture "$2"
  images_need "$headers/string.h" "musl-dev:$2"
  export "CC_$name=$compiler" "CARGO_TARGET_${name^^}_LINKER=$compiler"
  flags="-nostdinc -isystem $headers -isystem $("$compiler" -print-file-name=include)"
  # As in .cargo/config.toml, which this takes the place of.
  [ "$1" != aarch64 ] || flags+=" -mno-outline-atomics"
  export "CFLAGS_$name=$flags"
}

# What puts the list of a program's dependencies into it.
prepare_auditable() {
  command -v cargo-auditable >/dev/null || cargo install --debug --quiet --locked cargo-auditable --version 0.7.7 >&2
}

# The version, of all packages.
version() { sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"$/\1/p' Cargo.toml; }

# The commit, with -dirty where files differ from it; nothing where there is neither git nor a word about it.
revision() {
  if [ -n "${KEYWARD_REVISION:-}" ]; then
    echo "$KEYWARD_REVISION"
  else
    git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null || true
  fi
}

# What programs say to `--version`: the commit too, where it is known.
prepare_version() {
  local revision
  revision=$(revision | sed -E 's/^([0-9a-f]{7})[0-9a-f]*/\1/')
  KEYWARD_VERSION=$(version)${revision:+ ($revision)}
  export KEYWARD_VERSION
}
