"""Attributes that rules_oci's macros take as lists or dicts and its rules as files."""

def refuse(macro, name, kwargs, known):
    """Fails on attributes that this stand-in doesn't know.

    Args:
      macro: name of the macro
      name: name of the target
      kwargs: the attributes given
      known: the attributes that are supported
    """
    for attribute in kwargs:
        if attribute not in known:
            fail("%s %s: the attribute %s is not supported by the offline rules_oci (dev/offline/rules_oci)" % (macro, _label(name), attribute))

def common_attributes(kwargs):
    """Returns what a target that goes along with another one has in common with it.

    Args:
      kwargs: the attributes of the other target
    """
    return {k: kwargs[k] for k in ["compatible_with", "exec_compatible_with", "restricted_to", "tags", "target_compatible_with", "testonly", "visibility"] if k in kwargs}

def given_texts(macro, name, kwargs, attributes):
    """Moves the attributes that were given as lists and dicts into the attribute "texts", written as rules_oci writes its files.

    Args:
      macro: name of the macro
      name: name of the target
      kwargs: the attributes given
      attributes: those that may be lists, dicts or files

    Returns:
      The attributes of the rule.
    """
    rest = dict(kwargs)
    texts = {}
    for attribute in attributes:
        value = rest.get(attribute)
        if type(value) not in ["dict", "list"]:
            continue  # a file, or a select() of files
        rest.pop(attribute)
        where = "%s %s: %s" % (macro, _label(name), attribute)
        if attribute in ["annotations", "env", "labels"]:
            if type(value) != "dict":
                fail("%s must be a dict or a file, not a list" % where)
            texts[attribute] = "\n".join([_text(where, k) + "=" + _text(where, v) for k, v in value.items()])
        elif type(value) != "list" or attribute == "created":
            fail("%s must be %s, not a %s" % (where, "a file" if attribute == "created" else "a list or a file", type(value)))
        elif attribute in ["cmd", "entrypoint"]:
            texts[attribute] = "\n".join([_text(where, word, lines = True).replace("\n", "%5Cn") for word in value])
        else:
            texts[attribute] = ",".join([_text(where, member) for member in value])
    return dict(rest, name = name, texts = texts)

def given_words(macro, name, kwargs, attribute):
    """Moves tags that were given as a list into the attribute "words".

    Args:
      macro: name of the macro
      name: name of the target
      kwargs: the attributes given
      attribute: the one that may be a list or a file

    Returns:
      The attributes of the rule.
    """
    rest = dict(kwargs)
    value = rest.get(attribute)
    if type(value) != "list":
        return dict(rest, name = name)
    rest.pop(attribute)
    where = "%s %s: %s" % (macro, _label(name), attribute)
    for word in value:
        if " " in _text(where, word):
            fail("%s: %r has a space in it" % (where, word))
    return dict(rest, name = name, words = value)

def _label(name):
    return "//%s:%s" % (native.package_name(), name)

def _text(where, value, lines = False):
    if type(value) not in ["string", "int"]:
        fail("%s: a %s stands where a string must; a select() must choose between files" % (where, type(value)))
    text = str(value)
    if "\n" in text and not lines:
        fail("%s: %r has a newline in it" % (where, text))
    return text

def text_arguments(ctx, args, attributes):
    """Adds the texts to a command line.

    Args:
      ctx: the rule's context
      args: the command line
      attributes: those that may be given

    Returns:
      The files among them.
    """
    files = []
    for attribute in attributes:
        file = getattr(ctx.file, attribute)
        if attribute in ctx.attr.texts:
            args.add("--text=%s:%s" % (attribute, ctx.attr.texts[attribute]))
        elif file:
            args.add(file, format = "--text-file=" + attribute + ":%s")
            files.append(file)
    return files
