raise RuntimeError("the schemas of another project")
