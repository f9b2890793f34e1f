{{- /*
The metadata and spec of a pod, as the restricted profile of Kubernetes asks for it. Takes root, component, command,
env (a dict), ports (a dict), probes (a port), grace (seconds), resources, spread, archive.
*/ -}}
{{- define "sluice.pod" -}}
{{- $values := .root.Values -}}
metadata:
  labels: {{- include "sluice.labels" . | nindent 4 }}
  {{- if not $values.secrets.existingSecret }}
  annotations:
    checksum/secrets: {{ include "sluice.secretsChecksum" .root }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  # Kubernetes would add variables such as SLUICE_INGEST_PORT, which look like settings.
  enableServiceLinks: false
  # As process 1 Node.js would ignore a SIGTERM while it is still loading.
  shareProcessNamespace: true
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .grace }}
  {{- with $values.image.pullSecrets }}
  imagePullSecrets: {{- range . }}
    - name: {{ . }}
  {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    {{- with $values.podSecurity.runAsUser }}
    runAsUser: {{ . }}
    runAsGroup: {{ . }}
    {{- end }}
    {{- with $values.podSecurity.fsGroup }}
    fsGroup: {{ . }}
    {{- end }}
    seccompProfile: { type: RuntimeDefault }
  {{- with $values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .spread }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "sluice.selector" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "sluice.image" .root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      command: {{- toYaml .command | nindent 8 }}
      # What is wrong with a setting shows in `kubectl describe pod`.
      terminationMessagePolicy: FallbackToLogsOnError
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      env:
        {{- range fromJsonArray (include "sluice.keys" .) }}
        - name: {{ . }}_FILE
          value: /run/secrets/sluice/{{ . }}
        {{- end }}
        {{- $env := mergeOverwrite (dict) $values.settings (.env | default dict) }}
        {{- if and .archive $values.archiveClaim }}{{ $_ := set $env "ARCHIVE_DIR" "/archive" }}{{ end }}
        {{- range $name, $value := $env }}
        - name: {{ $name }}
          value: {{ toString $value | quote }}
        {{- end }}
      {{- with .ports }}
      ports:
        {{- range $name, $port := . }}
        - name: {{ $name }}
          containerPort: {{ $port }}
        {{- end }}
      {{- end }}
      {{- with .probes }}
      startupProbe:
        httpGet: { path: /livez, port: {{ . }} }
        periodSeconds: 1
        timeoutSeconds: 2
        failureThreshold: 120
      livenessProbe:
        httpGet: { path: /livez, port: {{ . }} }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: {{ . }} }
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      {{- end }}
      resources: {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        - name: secrets
          mountPath: /run/secrets/sluice
          readOnly: true
        {{- if and .archive $values.archiveClaim }}
        - name: archive
          mountPath: /archive
        {{- end }}
  volumes:
    # A folder, not a subPath: only then a changed Secret reaches a running pod.
    - name: secrets
      secret:
        secretName: {{ include "sluice.secretName" .root }}
        defaultMode: 288 # 0440, which YAML 1.2 would read as 440
        items:
          {{- range fromJsonArray (include "sluice.keys" .) }}
          - key: {{ . }}
            path: {{ . }}
          {{- end }}
    {{- if and .archive $values.archiveClaim }}
    - name: archive
      persistentVolumeClaim:
        claimName: {{ $values.archiveClaim }}
    {{- end }}
{{- end }}
