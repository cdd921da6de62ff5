raise RuntimeError("the app of another project")
