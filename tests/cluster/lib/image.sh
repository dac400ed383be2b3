# shellcheck shell=bash
# Images for the cluster's registry, from folders.

# REPO:TAG ROOT [CRANE MUTATE FLAGS…]: pushes ROOT/ as an image of one layer; prints its reference with its digest.
push_image() {
  local reference=$1 root=$2 layer
  shift 2
  case $reference in "$REGISTRY"/*) ;; *) reference=$REGISTRY/$reference ;; esac
  layer=$(mktemp --suffix=.tar)
  tar -C "$root" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$layer" .
  if ! (inside crane append --platform linux/amd64 --new_layer "$layer" --new_tag "$reference") >/dev/null 2>&1; then
    rm -f "$layer"
    die "cannot push $reference"
  fi
  rm -f "$layer"
  [ $# = 0 ] || (inside crane mutate --set-platform linux/amd64 --tag "$reference" "$@" "$reference") >/dev/null
  echo "$reference@$(inside crane digest "$reference")"
}
