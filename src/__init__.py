if __name__ == "src":  # as earlier versions were imported
    from auscult.former_names import let_former_names_be_imported

    let_former_names_be_imported()
