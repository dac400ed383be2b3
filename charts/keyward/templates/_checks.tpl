{{/* Values that make no sense together, each with what to do. What is wrong by itself the schema says. */}}

{{- define "keyward.checkIdentity" -}}
{{- $azure := .Values.broker.azure -}}
{{- $annotated := hasKey .Values.broker.serviceAccount.annotations "azure.workload.identity/client-id" -}}
{{- $needed := list -}}
{{- if .Values.emulator.enabled }}
{{- range $name := list "tenantId" "clientId" "objectId" "resourceId" "credentialSecret" "cloud" "authorityHost" "vaultDnsSuffix" "vaultAudience" "caConfigMap" }}
{{- if get $azure $name }}
{{- fail (printf "emulator.enabled and broker.azure.%s are both set: with the emulator the broker signs in to it and to nothing else; take one away" $name) }}
{{- end }}
{{- end }}
{{- else if and (eq $azure.identity "workload") (not $azure.clientId) (not $annotated) .Values.broker.serviceAccount.create }}
{{- $needed = list "clientId" }}
{{- else if has $azure.identity (list "client-secret" "client-certificate") }}
{{- $needed = list "tenantId" "clientId" "credentialSecret" }}
{{- else if eq $azure.identity "azure-json" }}
{{- $needed = list "credentialSecret" }}
{{- end }}
{{- if eq $azure.cloud "azure-custom" }}
{{- $needed = concat $needed (list "authorityHost" "vaultDnsSuffix" "vaultAudience") }}
{{- end }}
{{- range $needed }}
{{- if and (not (get $azure .)) (gt (int $.Values.broker.replicas) 0) }}
{{- fail (printf "broker.azure.%s is missing: broker.azure.identity %s%s needs it (docs/azure.md). To try Keyward without Azure: --values examples/values/emulator.yaml" . $azure.identity (ternary " in a custom cloud" "" (eq $azure.cloud "azure-custom"))) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "keyward.checkCaBundle" -}}
{{- $external := eq .Values.certificates.provider "external" -}}
{{- if and $external (not .Values.webhook.caBundle) }}
{{- fail "webhook.caBundle is missing: with certificates.provider external, give the authority of the webhook's certificate in PEM: --set-file webhook.caBundle=ca.crt" }}
{{- end }}
{{- if and .Values.webhook.caBundle (not $external) }}
{{- fail (printf "webhook.caBundle is set, and certificates.provider %s writes it: take it away, or set certificates.provider=external" .Values.certificates.provider) }}
{{- end }}
{{- if contains "PRIVATE KEY" .Values.webhook.caBundle }}
{{- fail "webhook.caBundle holds a private key: everybody may read it there; give certificates alone" }}
{{- end }}
{{- end }}

{{- define "keyward.checkEvents" -}}
{{- if and .enabled (not .keySecret) (not .entra.tenantId) }}
{{- fail "eventGrid.enabled needs eventGrid.keySecret or eventGrid.entra.tenantId: whoever reaches the port could deliver events otherwise (docs/events.md)" }}
{{- end }}
{{- if and .entra.tenantId (not .entra.audiences) }}
{{- fail "eventGrid.entra.audiences is missing: whom the tokens of eventGrid.entra.tenantId are for" }}
{{- end }}
{{- if and (or .entra.audiences .entra.senders) (not .entra.tenantId) }}
{{- fail "eventGrid.entra.tenantId is missing: which tenant issues the tokens of eventGrid.entra" }}
{{- end }}
{{- end }}

{{- define "keyward.checkCanary" -}}
{{- if and .Values.canary.object (not .Values.canary.vault) }}
{{- fail "canary.vault is missing: canary.object is a secret of a vault" }}
{{- end }}
{{- if and .Values.canary.vault (not .Values.canary.object) }}
{{- fail "canary.object is missing: which secret of the vault helm test is to resolve" }}
{{- end }}
{{- end }}
