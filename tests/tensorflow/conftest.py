import tensorflow as tf

# Two devices on one CPU, as the test of MirroredStrategy needs them; read when TensorFlow starts.
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
