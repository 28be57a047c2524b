# The final stage holds the binary, the libraries it links and a CA bundle: no shell, no package
# manager. The file capability is an extended attribute; BuildKit keeps it through COPY --from, as long as
# the owner is not changed on the way.

FROM rust:1-bookworm AS build
RUN apt-get -qq update \
 && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends \
      libpcap-dev libcap2-bin ca-certificates \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin shadowtap \
 && scripts/rootfs.sh target/release/shadowtap /rootfs

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="shadowtap" \
      org.opencontainers.image.description="Copies real HTTP/1.x traffic from the wire to a shadow service" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /rootfs/ /
USER 65532:65532
ENTRYPOINT ["/shadowtap"]
CMD ["--help"]
