from weakcl_pipeline.hooks.consistency import Origin
from weakcl_pipeline.hooks.unlike import unlike


def history(method, seed=0, **training):
    return Origin(f"{method}.history", "1", parameters={"params:training": training, "params:seed": seed})


def test_parameters_that_differ_between_the_like_are_named_with_their_values():
    found = unlike(
        [
            history("attribute", epochs=18, encoder={"backbone": "resnet14t"}),
            history("iterative", epochs=1, encoder={"backbone": "resnet18"}),
            history("supervised", epochs=18, encoder={"backbone": "resnet14t"}),
        ]
    )
    assert found == [
        "training.epochs: 18 for attribute.history, supervised.history; 1 for iterative.history",
        'training.encoder.backbone: "resnet14t" for attribute.history, supervised.history;'
        ' "resnet18" for iterative.history',
    ]


def test_seeds_other_kinds_and_parameters_of_one_alone_may_differ():
    alone = Origin(
        "iterative.history", "1", parameters={"params:training": {"epochs": 2}, "params:iterative": {"k": 9}}
    )
    metrics = Origin("attribute.metrics", "1", parameters={"params:training": {"epochs": 3}})
    samples = Origin("samples", "1", parameters={"params:training": {"epochs": 4}})
    assert unlike([history("attribute", seed=1, epochs=2), alone, metrics, samples]) == []
