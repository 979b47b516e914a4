def write_metadata(plan, cut):
    yield "x\n" * len(plan.copies)
