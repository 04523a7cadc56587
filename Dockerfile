# Two images: `agent`, for agents and channel servers, and `controller`, which has torch as well.
#
#   docker build --target agent -t airtoll-agent .
#   docker build --target controller -t airtoll-controller .
#
# TORCH_INDEX: a package index that has the CPU build of torch, when neither pip's own index nor the base image has it.

ARG PYTHON=python:3.11-slim-bookworm

# Packages are reinstalled only when these lists change.
FROM ${PYTHON} AS lists
WORKDIR /src
COPY pyproject.toml containers/requirements.py ./
RUN python3 requirements.py worker > worker.txt && python3 requirements.py controller > controller.txt

# pip and its files stay in these build stages; the images get only the environment /opt/airtoll.
FROM ${PYTHON} AS site
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_CONSTRAINT=/src/constraints.txt
WORKDIR /src
COPY constraints.txt ./
COPY --from=lists /src/worker.txt ./
RUN python3 -m venv --without-pip /opt/airtoll \
 && pip --python /opt/airtoll/bin/python3 install -r worker.txt

FROM site AS site-controller
ARG TORCH_INDEX=
COPY --from=lists /src/controller.txt ./
RUN pip --python /opt/airtoll/bin/python3 install ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} -r controller.txt \
 # Files that only compiling against torch and testing it need.
 && rm -rf /opt/airtoll/lib/python3*/site-packages/torch/include /opt/airtoll/lib/python3*/site-packages/torch/test

# airtoll itself, alone in an environment of the same path, which the images copy over the one above.
FROM ${PYTHON} AS own
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_CONSTRAINT=/src/constraints.txt
WORKDIR /src
COPY . .
RUN python3 -m venv --without-pip /opt/airtoll \
 && pip --python /opt/airtoll/bin/python3 install --no-deps .

FROM ${PYTHON} AS base
LABEL org.opencontainers.image.title="airtoll" \
      org.opencontainers.image.description="Networked emulation of learned radio policies, with every byte of signalling metered" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
ENV PATH=/opt/airtoll/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib \
    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
RUN groupadd --gid 10001 airtoll && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp airtoll \
 && install -d -o airtoll -g airtoll -m 0700 /data /keys/server /keys/nodes
WORKDIR /data
USER airtoll
ENTRYPOINT ["airtoll"]
STOPSIGNAL SIGTERM

FROM base AS agent
LABEL org.opencontainers.image.title="airtoll agent"
COPY --from=site /opt/airtoll /opt/airtoll
COPY --from=own /opt/airtoll /opt/airtoll
COPY containers/connected.py /usr/local/share/airtoll/
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python3", "-S", "/usr/local/share/airtoll/connected.py"]
CMD ["agent"]

FROM base AS controller
LABEL org.opencontainers.image.title="airtoll controller"
COPY --from=site-controller /opt/airtoll /opt/airtoll
COPY --from=own /opt/airtoll /opt/airtoll
COPY containers/ready.py /usr/local/share/airtoll/
COPY examples /examples
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-S", "/usr/local/share/airtoll/ready.py"]
EXPOSE 8770 8771
CMD ["serve", "--host", "0.0.0.0", "--data", "/data"]
