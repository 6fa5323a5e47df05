# Built by `make image` from dist/image: a static binary, the CA roots of the
# build host and a passwd file. Nothing is pulled.
FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="oneloop" \
      org.opencontainers.image.description="Applies Kubernetes mutation policies when manifests are rendered" \
      org.opencontainers.image.source="https://github.com/oneloop-dev/oneloop" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# kustomize and kpt run functions with --user nobody: the name has to be known.
COPY passwd /etc/passwd
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY oneloop /oneloop
USER 65534:65534
# Runners pass no arguments: without any, oneloop is the function.
ENTRYPOINT ["/oneloop"]
