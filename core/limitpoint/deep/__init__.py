"""Deep networks: models, m-SAM's gradient in its exact forms, images, and stacks of runs."""
