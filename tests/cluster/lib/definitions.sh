# shellcheck shell=bash
# Custom resource definitions of third parties: fetched once for each state of the list `definitions`, and kept beside the
# cluster's programs.

# Sets DEFINITIONS, and fetches what is not there. A folder in the cache is whole: it appears by one rename.
definitions() {
  local part
  DEFINITIONS=$CACHE/definitions-$(sha256sum <"$HERE/definitions" | cut -c1-16)
  [ -d "$DEFINITIONS" ] && return
  mkdir -p "$CACHE"
  part=$(mktemp -d "$CACHE/definitions.XXXXXX")
  if ! fetch_definitions "$part"; then
    rm -rf "$part"
    die 'the definitions of third parties are not there'
  fi
  chmod 755 "$part"
  # Somebody else may have been faster with the same.
  mv -T "$part" "$DEFINITIONS" 2>/dev/null || rm -rf "$part"
}

# OUT: the files of the list.
fetch_definitions() {
  local module version sum folder files file fetched got
  while read -r module version sum folder files; do
    case $module in '' | '#'*) continue ;; esac
    say "fetching $module@$version"
    # The toolchain that the module wants builds nothing here; the sum is compared with ours, whoever else looks at it.
    fetched=$(cd / && GOFLAGS='' GOTOOLCHAIN=local go mod download -json "$module@$version") || return
    got=$(json_text Sum "$fetched")
    [ "$got" = "$sum" ] || { say "$module@$version has the checksum $got and not $sum"; return 1; }
    for file in $files; do
      cp "$(json_text Dir "$fetched")/$folder/$file" "$1/" || return
    done
  done <"$HERE/definitions"
}

# NAME JSON: a text of an object as Go indents it.
json_text() { sed -n "s/^\t\"$1\": \"\(.*\)\",\{0,1\}\$/\1/p" <<<"$2"; }
