"""mechlearn: couple mechanism models of the Earth's surface with machine learning."""
