def write_index_page(plan, cut):
    yield "x\n" * len(plan.copies)
