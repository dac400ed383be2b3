{{/* Evaluation without Azure: an emulated Key Vault and Entra. */}}

{{/* The objects file, with the broker among those who may sign in. */}}
{{- define "keyward.emulatorObjects" -}}
{{- $objects := fromYaml .Values.emulator.objects -}}
{{- if hasKey $objects "Error" }}
{{- fail (printf "emulator.objects is no YAML: %s" $objects.Error) }}
{{- end }}
{{- if hasKey (default dict $objects.vaults) "keyward-vault" }}
{{- fail "emulator.objects: a vault cannot be called keyward-vault, as the emulator's Service is" }}
{{- end }}
{{- $broker := include "keyward.emulatorIdentity" . | fromYaml -}}
{{- $secret := (include "keyward.emulatorSecrets" . | fromJson).clientSecret -}}
{{- $own := dict "tenant" $broker.AZURE_TENANT_ID "clientId" $broker.AZURE_CLIENT_ID "clientSecret" $secret -}}
{{- toYaml (merge (dict "identities" (concat (list $own) (default list $objects.identities))) $objects) }}
{{- end }}

{{/* The URLs of its vaults by name, as JSON: ports follow the order of names. */}}
{{- define "keyward.emulatedVaults" -}}
{{- $urls := dict -}}
{{- if .Values.emulator.enabled }}
{{- range $index, $name := keys (default dict (fromYaml .Values.emulator.objects).vaults) | sortAlpha }}
{{- $_ := set $urls $name (printf "https://keyward-vault.%s.svc:%d" $.Release.Namespace (add 9443 $index)) }}
{{- end }}
{{- end }}
{{- toJson $urls }}
{{- end }}

{{/* How the broker signs in to it. */}}
{{- define "keyward.emulatorIdentity" -}}
KEYWARD_AZURE_IDENTITY: client-secret
AZURE_TENANT_ID: 11111111-1111-1111-1111-111111111111
AZURE_CLIENT_ID: 6b657977-6172-4d00-8000-62726f6b6572
AZURE_CLIENT_SECRET_FILE: /etc/keyward/emulator/client-secret
AZURE_AUTHORITY_HOST: https://keyward-vault.{{ .Release.Namespace }}.svc:9400
KEYWARD_AZURE_CA_FILE: /etc/keyward/emulator/ca.crt
{{- end }}

{{/* What the broker needs for that. */}}
{{- define "keyward.emulatorVolume" -}}
- name: emulator
  projected:
    defaultMode: 0440
    sources:
      - secret: {name: keyward-vault-tls, items: [{key: ca.crt, path: ca.crt}]}
      - secret: {name: keyward-vault, items: [{key: client-secret, path: client-secret}]}
{{- end }}

{{/* Its certificate, the authority's, and the broker's secret, as JSON: those that the cluster has, so that an upgrade
changes nothing; made up at the first installation. The authority's key is nowhere. */}}
{{- define "keyward.emulatorSecrets" -}}
{{- if not (hasKey .Values.emulator "made") }}
{{- $tls := get (lookup "v1" "Secret" .Release.Namespace "keyward-vault-tls") "data" -}}
{{- $held := get (lookup "v1" "Secret" .Release.Namespace "keyward-vault") "data" -}}
{{- $made := dict -}}
{{- if and $tls $held }}
{{- $_ := set $made "certificate" (get $tls "tls.crt" | b64dec) }}
{{- $_ := set $made "key" (get $tls "tls.key" | b64dec) }}
{{- $_ := set $made "authority" (get $tls "ca.crt" | b64dec) }}
{{- $_ := set $made "clientSecret" (get $held "client-secret" | b64dec) }}
{{- else }}
{{- $names := include "keyward.dnsNames" (dict "root" $ "service" "keyward-vault") | fromJsonArray -}}
{{- $ca := genCAWithKey "Keyward emulator CA" 3650 (genPrivateKey "ecdsa") -}}
{{- $leaf := genSignedCertWithKey "keyward-vault" list $names 3650 $ca (genPrivateKey "ecdsa") -}}
{{- $made = dict "certificate" $leaf.Cert "key" $leaf.Key "authority" $ca.Cert "clientSecret" (randAlphaNum 32) }}
{{- end }}
{{- $_ := set .Values.emulator "made" $made }}
{{- end }}
{{- toJson .Values.emulator.made }}
{{- end }}
