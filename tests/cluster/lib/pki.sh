# shellcheck shell=bash
# Keys and certificates of a new cluster, all from one authority, and a kubeconfig for each of its users.

# NAME SUBJECT [SUBJECT-ALTERNATIVE-NAMES]
certificate() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" \
    -keyout "$PKI/$1.key" -out "$PKI/$1.csr" 2>/dev/null
  {
    echo 'keyUsage=critical,digitalSignature'
    echo 'extendedKeyUsage=clientAuth,serverAuth'
    [ -z "${3:-}" ] || echo "subjectAltName=$3"
  } >"$PKI/$1.ext"
  openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial \
    -days 365 -extfile "$PKI/$1.ext" -out "$PKI/$1.crt" 2>/dev/null
  rm "$PKI/$1.csr" "$PKI/$1.ext"
}

# USER FILE
kubeconfig() {
  cat >"$2" <<YAML
apiVersion: v1
kind: Config
current-context: keyward
contexts: [{name: keyward, context: {cluster: keyward, user: $1}}]
clusters: [{name: keyward, cluster: {server: "https://$NODE_IP:6443", certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$PKI/$1.crt"), client-key-data: $(base64 -w0 "$PKI/$1.key")}}]
YAML
}

write_pki() {
  local user api='DNS:localhost,IP:127.0.0.1' suffix
  for suffix in '' .default .default.svc .default.svc.cluster.local; do api+=",DNS:kubernetes$suffix"; done
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=keyward-cluster-ca \
    -keyout "$PKI/ca.key" -out "$PKI/ca.crt" -addext 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature' 2>/dev/null
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$PKI/sa.key" 2>/dev/null
  openssl pkey -in "$PKI/sa.key" -pubout -out "$PKI/sa.pub"
  certificate apiserver /CN=kube-apiserver "$api,IP:$API_IP,IP:$NODE_IP"
  certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
  certificate front-proxy /CN=front-proxy
  certificate kubelet-server "/CN=$NODE" "DNS:$NODE,IP:$NODE_IP"
  certificate registry /CN=registry "DNS:$REGISTRY_HOST,IP:$NODE_IP"
  certificate admin /O=system:masters/CN=admin
  certificate kubelet "/O=system:nodes/CN=system:node:$NODE"
  for user in kube-controller-manager kube-scheduler kube-proxy coredns; do
    certificate "$user" "/CN=system:$user"
  done
  kubeconfig admin "$KUBECONFIG_ADMIN"
  for user in kubelet kube-controller-manager kube-scheduler kube-proxy coredns; do
    kubeconfig "$user" "$ETC/$user.kubeconfig"
  done
}
