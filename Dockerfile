# The operator's image: its wheel and the locked dependencies in a virtual environment, on a slim Python, nothing else.
# Build it: docker build --tag model-rollback-operator:0.1.0 .   Without a Docker engine: hack/image/build
FROM python:3.13-slim-trixie AS build

ARG UV_VERSION=0.13.9
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir "uv==${UV_VERSION}"

# Compiled here because the root file system is read-only where it runs; SYSTEM_CERTS: proxies with a certificate of their own.
ENV UV_PYTHON=python3 \
    UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/opt/venv \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1 \
    UV_SYSTEM_CERTS=1

WORKDIR /src
# Dependencies first: this layer changes with the lock only.
COPY pyproject.toml uv.lock ./
RUN /opt/uv/bin/uv sync --locked --no-default-groups --no-install-project

COPY README.md LICENSE ./
COPY operator ./operator
RUN /opt/uv/bin/uv sync --locked --no-default-groups --no-editable


FROM python:3.13-slim-trixie

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="model-rollback-operator" \
      org.opencontainers.image.description="Puts the last good version of an AI system back when its metrics break, proves that it worked, and leaves a record." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /opt/venv /opt/venv

# PYTHONSAFEPATH: nothing is imported from the working directory. A user id without a passwd entry has no home.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

WORKDIR /
# Numeric, so that a cluster can prove runAsNonRoot; any other id works as well.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python", "-m", "model_rollback"]
