# shellcheck shell=bash
# An image as an OCI layout: a folder of files that are named by what they hold. The same contents give the same bytes:
# files are sorted, have a time that is told and the owner 0, and gzip writes no time.

OCI=application/vnd.oci.image
LAYERS=() DIFF_IDS=()

pack() { tar --format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX "$@"; }

# LAYOUT FILE: moves the file into the layout; prints the part of a descriptor that tells of its bytes.
blob() {
  local digest
  digest=$(sha256sum "$2" | cut -d' ' -f1)
  printf '"digest":"sha256:%s","size":%d' "$digest" "$(stat -c %s "$2")"
  install -m 644 "$2" "$1/blobs/sha256/$digest"
  rm "$2"
}

# LAYOUT TEXT: the same of a text.
text_blob() {
  local file
  file=$(mktemp "$1/text.XXXXXX")
  printf '%s' "$2" >"$file"
  blob "$1" "$file"
}

# LAYOUT: begins one.
new_layout() {
  install -d "$1/blobs/sha256"
  LAYERS=() DIFF_IDS=()
}

# LAYOUT ROOT TIME: adds what is in ROOT as a layer of files of that time.
add_layer() {
  local tar
  tar=$(mktemp "$1/layer.XXXXXX")
  (cd "$2" && pack --mtime="@$3" -cf "$tar" -- *)
  DIFF_IDS+=("\"sha256:$(sha256sum "$tar" | cut -d' ' -f1)\"")
  gzip -n -9 "$tar"
  LAYERS+=("{\"mediaType\":\"$OCI.layer.v1.tar+gzip\",$(blob "$1" "$tar.gz")}")
}

# LAYOUT ARCHITECTURE CREATED CONFIG TAG: ends one. CONFIG is what of an image's config concerns the process.
finish_layout() {
  local config manifest platform="\"architecture\":\"$2\",\"os\":\"linux\""
  config="{\"created\":$(json "$3"),$platform,\"config\":$4,\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[$(commas "${DIFF_IDS[@]}")]}}"
  config="{\"mediaType\":\"$OCI.config.v1+json\",$(text_blob "$1" "$config")}"
  manifest="{\"schemaVersion\":2,\"mediaType\":\"$OCI.manifest.v1+json\",\"config\":$config,\"layers\":[$(commas "${LAYERS[@]}")]}"
  manifest="{\"mediaType\":\"$OCI.manifest.v1+json\",$(text_blob "$1" "$manifest"),\"platform\":{$platform},\
\"annotations\":$(json_object org.opencontainers.image.ref.name "$5")}"
  printf '{"schemaVersion":2,"mediaType":"%s.index.v1+json","manifests":[%s]}' "$OCI" "$manifest" >"$1/index.json"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$1/oci-layout"
}

# LAYOUT ARCHIVE: the layout as one file.
archive() { (cd "$1" && pack --mtime=@0 -cf "$2" -- *); }

# LAYOUT: the digest of its image.
digest() { sed -E 's/.*"digest":"(sha256:[0-9a-f]+)".*/\1/' "$1/index.json"; }

# How many bytes the layers have that were added last.
pulled() { printf '%s\n' "${LAYERS[@]}" | sed -E 's/.*"size":([0-9]+).*/\1/' | awk '{ bytes += $1 } END { print bytes }'; }

# TEXT: as JSON has it. What must be escaped is refused: nothing of ours must.
json() {
  case $1 in *[\"\\]* | *[[:cntrl:]]*) images_die "this cannot be written into an image: $1" ;; esac
  printf '"%s"' "$1"
}

# NAME VALUE…: an object; a name without a value is left out.
json_object() {
  local pairs=()
  while [ $# -gt 0 ]; do
    [ -z "$2" ] || pairs+=("$(json "$1"):$(json "$2")")
    shift 2
  done
  printf '{%s}' "$(commas "${pairs[@]}")"
}

commas() {
  local IFS=,
  printf '%s' "$*"
}
