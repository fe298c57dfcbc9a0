# The service and the worker in one image: CPU by default, with a GPU by `--build-arg EXTRAS=gpu`.
#
#   docker build -t quadglass .
#   docker run --rm -p 127.0.0.1:8000:8000 -e QUADGLASS_HTTP_OPEN_LISTEN=true quadglass
#
# No network is needed at run time: the weights are in the image.

FROM debian:bookworm-slim AS base
# No versions: the base fixes the Debian release, and its security fixes are wanted.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 \
 && apt-get clean && rm -rf /var/lib/apt/lists/*

FROM base AS build
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-venv \
 && apt-get clean && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# Dependencies before code, so that a change of code does not install them again.
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY deploy/setup.sh deploy/constraints.txt deploy/
RUN for folder in service capture calibration models kernels quadglass; do \
      mkdir "$folder" && touch "$folder/__init__.py"; done
ARG EXTRAS=cpu
RUN bash deploy/setup.sh "$EXTRAS"
# What only installing and other people's tests need stays behind.
RUN .venv/bin/python -m pip uninstall -qq -y hatchling editables pathspec trove-classifiers tomlkit \
 && find .venv/lib/python3*/site-packages -maxdepth 1 \( -name 'pip' -o -name 'pip-*' \
      -o -name 'setuptools*' -o -name pkg_resources -o -name _distutils_hack \
      -o -name distutils-precedence.pth \) -exec rm -rf {} + \
 && find .venv/lib/python3*/site-packages -type d -name tests -prune -exec rm -rf {} +
COPY service service
COPY capture capture
COPY calibration calibration
COPY models models
COPY kernels kernels
COPY quadglass quadglass
# The root is read-only in compose, so bytecode and what numba compiles are made here or at every
# start. numba's part fits this processor; another kind compiles for ten seconds when it starts.
RUN .venv/bin/python -m compileall -q service capture calibration models kernels quadglass \
 && .venv/bin/python -c 'from kernels.warmup import warm_up; warm_up()' \
 && .venv/bin/python -c 'from capture.warmup import warm_up; warm_up()'

FROM base
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin quadglass \
 && install -d -o quadglass -g quadglass /data
COPY --from=build /app /app
# With EXTRAS=gpu pip brings CUDA's libraries; the loader has to be told where. None on the CPU.
RUN find /app/.venv -type d -path '*/nvidia/*/lib' >/etc/ld.so.conf.d/quadglass.conf && ldconfig
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    QUADGLASS_DATA_DIR=/data
WORKDIR /data
# The number: a cluster that refuses root cannot look names up.
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["quadglass", "doctor", "--ready", "http://127.0.0.1:8000"]
ENTRYPOINT ["quadglass"]
# Only 0.0.0.0 can be reached from outside a container, and there the service wants API keys. Where
# the published port keeps strangers out, as in docker-compose.yml, QUADGLASS_HTTP_OPEN_LISTEN=true
# says so.
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
