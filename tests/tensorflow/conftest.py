import tensorflow as tf

# Two devices on one CPU, as the test of MirroredStrategy needs them; read when TensorFlow starts.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
