# One static binary in an empty image.
#
#   docker build .        builds from source
#   make image            builds the last stage from a binary made beforehand
#
# The last stage takes its binary from whatever is called `binary`: the stage here, or a
# folder handed in with `--build-context binary=FOLDER`.

FROM docker.io/library/rust:1.95-bookworm AS binary
WORKDIR /src
COPY . .
RUN make static OUT=/natter

FROM scratch AS image
LABEL org.opencontainers.image.title="natter" \
      org.opencontainers.image.description="A message broker, wire-compatible with NATS" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=binary /natter /natter
USER 65532:65532
EXPOSE 4222 8222
ENTRYPOINT ["/natter"]
CMD ["server"]
