"""New data and jobs that outlast their run: how a workflow is started again for them."""
