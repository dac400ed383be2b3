{{/* The broker's settings as variables. */}}
{{- define "keyward.brokerEnv" -}}
{{- $broker := .Values.broker -}}
KEYWARD_SOURCE: kubernetes
KEYWARD_NAMESPACE: {{ .Release.Namespace | quote }}
KEYWARD_TLS_DIR: /etc/keyward/tls
KEYWARD_TRUST_DOMAIN: {{ .Values.certificates.trustDomain | quote }}
KEYWARD_REPLICAS: {{ max 1 (int $broker.replicas) | quote }}
KEYWARD_PEERS: kubernetes:keyward-broker-peers
KEYWARD_PEER_NAME: keyward-broker.{{ .Release.Namespace }}.svc
KEYWARD_ACCESS_DEFAULT: {{ $broker.accessDefault }}
KEYWARD_POD_BINDING: {{ ternary "on" "off" .Values.access.podBinding | quote }}
KEYWARD_POLL_INTERVAL: {{ $broker.pollInterval | quote }}
KEYWARD_MAX_STALE: {{ $broker.maxStale | quote }}
KEYWARD_VAULT_BUDGET: {{ int64 $broker.vaultBudget | quote }}
KEYWARD_REREAD_AFTER: {{ $broker.rereadAfter | quote }}
KEYWARD_CACHE_MAX_BYTES: {{ int64 $broker.cacheMaxBytes | quote }}
KEYWARD_REQUESTS_PER_POD: {{ int64 $broker.requestsPerPod | quote }}
KEYWARD_REQUESTS_PER_ROLE: {{ int64 $broker.requestsPerRole | quote }}
KEYWARD_DRAIN: {{ int64 $broker.drainSeconds }}s
KEYWARD_BROKER: {{ include "keyward.brokerUrl" . | quote }}
KEYWARD_CA_FILE: /etc/keyward/tls/ca.crt
KEYWARD_OPERATOR_TOKEN_FILE: /var/run/secrets/keyward.dev/token
KEYWARD_LOG_FORMAT: {{ $broker.log.format }}
KEYWARD_LOG_LEVEL: {{ $broker.log.level | quote }}
{{ include (ternary "keyward.emulatorIdentity" "keyward.azureIdentity" .Values.emulator.enabled) . }}
{{- end }}

{{/* How it signs in to Azure. Workload identity: Azure's own webhook sets the rest. */}}
{{- define "keyward.azureIdentity" -}}
{{- $azure := .Values.broker.azure -}}
{{- $key := include "keyward.credentialKey" $azure -}}
KEYWARD_AZURE_IDENTITY: {{ $azure.identity }}
{{- with $azure.cloud }}
KEYWARD_CLOUD: {{ . }}
{{- end }}
{{- with $azure.tenantId }}
AZURE_TENANT_ID: {{ quote . }}
{{- end }}
{{- with $azure.clientId }}
AZURE_CLIENT_ID: {{ quote . }}
{{- end }}
{{- with $azure.objectId }}
KEYWARD_AZURE_OBJECT_ID: {{ quote . }}
{{- end }}
{{- with $azure.resourceId }}
KEYWARD_AZURE_RESOURCE_ID: {{ quote . }}
{{- end }}
{{- if eq $azure.identity "client-secret" }}
AZURE_CLIENT_SECRET_FILE: /etc/keyward/azure/{{ $key }}
{{- else if eq $azure.identity "client-certificate" }}
AZURE_CLIENT_CERTIFICATE_PATH: /etc/keyward/azure/{{ $key }}
AZURE_CLIENT_SEND_CERTIFICATE_CHAIN: {{ $azure.sendCertificateChain | quote }}
{{- with $azure.passwordKey }}
AZURE_CLIENT_CERTIFICATE_PASSWORD_FILE: /etc/keyward/azure/{{ . }}
{{- end }}
{{- else if eq $azure.identity "azure-json" }}
KEYWARD_AZURE_CONFIG_FILE: /etc/keyward/azure/{{ $key }}
{{- end }}
{{- with $azure.authorityHost }}
AZURE_AUTHORITY_HOST: {{ quote . }}
{{- end }}
{{- with $azure.vaultDnsSuffix }}
KEYWARD_AZURE_VAULT_DNS_SUFFIX: {{ quote . }}
{{- end }}
{{- with $azure.vaultAudience }}
KEYWARD_AZURE_VAULT_AUDIENCE: {{ quote . }}
{{- end }}
{{- if $azure.caConfigMap }}
KEYWARD_AZURE_CA_FILE: /etc/keyward/azure-ca/ca.crt
{{- end }}
{{- end }}

{{/* The key of the mounted Secret that is the credential. */}}
{{- define "keyward.credentialKey" -}}
{{- $usual := dict "client-secret" "client-secret" "client-certificate" "client.pem" "azure-json" "azure.json" -}}
{{- default (get $usual .identity) .credentialKey }}
{{- end }}
