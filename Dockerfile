# watchdogd as a container image: daemon, watchdogctl and lab; non-root.
# BASE is any Debian 12. `make image` makes one of its own, hands over the wheels, and so reaches no registry at all.
ARG BASE=docker.io/library/debian:12-slim

# ---- the hashed locks, and the wheel of this tree
FROM ${BASE} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008  # Debian's own security updates are wanted; what we run on top is pinned by hash
RUN python3 -c 'import ensurepip' 2>/dev/null || { apt-get update -q \
 && apt-get install -y -q --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*; }
# Where pip looks: the default index, or only what stands in dist/ (PIP_NO_INDEX=1 PIP_FIND_LINKS=/src).
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
WORKDIR /src
COPY requirements.lock requirements-build.lock dist* ./
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/watchdogd \
 && /opt/build/bin/pip install -q --no-cache-dir --require-hashes -r requirements-build.lock \
 && /opt/build/bin/pip --python /opt/watchdogd/bin/python install -q --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY watchdogd watchdogd
RUN /opt/build/bin/hatchling build -t wheel -d /tmp/wheel \
 && /opt/build/bin/pip --python /opt/watchdogd/bin/python install -q --no-cache-dir --no-deps /tmp/wheel/*.whl

# ---- what runs: Debian, its python3, and /opt/watchdogd
FROM ${BASE}
# hadolint ignore=DL3008  # as above
RUN python3 -c '' 2>/dev/null || { apt-get update -q \
 && apt-get install -y -q --no-install-recommends python3 ca-certificates && rm -rf /var/lib/apt/lists/*; }
# The ids of the unit's user and operators differ from machine to machine; these are the image's own.
RUN groupadd --gid 977 watchdogd && groupadd --gid 978 watchdogd-operators \
 && useradd --uid 977 --gid 977 --home-dir /var/lib/watchdogd --no-create-home --shell /usr/sbin/nologin watchdogd \
 && install -d -m 0700 -o 977 -g 977 /var/lib/watchdogd && install -d -m 0750 -o 977 -g 977 /run/watchdogd
COPY --from=build /opt/watchdogd /opt/watchdogd
ENV PATH=/opt/watchdogd/bin:$PATH
VOLUME /var/lib/watchdogd
USER 977:977
# TERM goes on to the next safe point, 80 s at most: docker run --stop-timeout 90.
STOPSIGNAL SIGTERM
# It tells how the pairs fare. Nothing must restart the container because of it: not on the day on which it acts.
HEALTHCHECK --interval=30s --timeout=20s --start-period=120s CMD ["watchdogctl", "status", "--check"]
ENTRYPOINT ["watchdogd"]
CMD ["run"]
