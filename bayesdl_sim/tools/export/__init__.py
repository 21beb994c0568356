"""A posterior for other programs: BioImage Model Zoo package, and ONNX of its network."""
