def write_index_table(plan, cut):
    yield "x\n" * len(plan.copies)
