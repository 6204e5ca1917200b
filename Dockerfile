FROM denoland/deno:debian-2.9.6

# The loader that finds a GPU's driver, Mesa's drivers (AMD, Intel, and the software one for machines
# without a GPU), what NVIDIA's driver is linked with although there is no screen, and a first process
# that passes signals on.
RUN apt-get update \
  && apt-get install -y --no-install-recommends \
    libvulkan1 mesa-vulkan-drivers \
    libegl1 libgl1 libgles2 libxext6 \
    tini \
  && rm -rf /var/lib/apt/lists/* \
  && install -d -o deno /mdm \
  && install -d -o deno -m 777 /data /out /var/cache/mdm

# NVIDIA's container toolkit mounts the driver's parts that are named here; "graphics" has Vulkan.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics

# What NVIDIA's driver needs brings OpenGL along, over which all could go by Mesa's software: one that
# has been ruled out, where a GPU is meant to be there, has to stay so.
ENV DENO_WEBGPU_BACKEND=vulkan

# Where drivers keep compiled kernels; the user has no home. Not below /tmp, over which people mount
# a file system in memory: what is built into the image has to stay in sight. A named volume here
# starts with what the image has, and keeps what is compiled later.
ENV XDG_CACHE_HOME=/var/cache/mdm

# By number, so that Kubernetes can tell that it is not root: it is the base image's user "deno".
USER 1993
WORKDIR /mdm
COPY --chown=1993 deno.json deno.lock ./
RUN deno install --frozen

COPY --chown=1993 mod.ts LICENSE ./
COPY --chown=1993 shaders shaders
COPY --chown=1993 src src
COPY --chown=1993 tools tools
COPY --chown=1993 weights/shapes32 weights/shapes32

# The command, which gives each of its commands the permissions of their tasks in deno.json, and asks no
# registry for packages: the image has them.
RUN deno run --allow-write --allow-env=HOME,PATH tools/install.ts /mdm/bin --cached-only
ENV PATH=/mdm/bin:$PATH

# Compiles for the software driver the kernels of the model that comes along; makes a picture, to try
# the image out and for Deno to keep its compiled modules; lets --user another one use the cache,
# which Mesa opens for writing or not at all.
RUN deno cache src/cli/main.ts \
  && mdm warmup \
  && mdm generate "a red circle" --steps 1 -o /tmp/picture.png \
  && rm /tmp/picture.png \
  && chmod -R a+rwX /var/cache/mdm

# A model to be part of the image: a folder in weights/, as in --build-arg MODEL=weights/cats. It is
# then --model /mdm/weights/cats.
ARG MODEL=weights/shapes32
COPY --chown=1993 ${MODEL} ${MODEL}

# Pictures go here: docker run -v "$PWD:/out" mdm generate "a red circle on a blue background"
WORKDIR /out
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["mdm", "health"]
ENTRYPOINT ["tini", "--", "mdm"]
CMD ["--help"]
