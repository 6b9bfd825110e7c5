import os

# Eight devices on one CPU, as the tests of sharding need them; read when JAX starts.
flags = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=8"
