"""The facts about drawn pictures in Chinese: the same questions, the same answers, in two wordings each."""

from __future__ import annotations

from medbench.builtin.twins.questions import Fact
from medbench.types import Struct


class Asked(Struct):
    """A question in Chinese, in several wordings, and its answer."""

    answer: str
    wordings: tuple[str, ...]


_PRESENT = ("有", "没有")
_TRUE = ("是", "不是")

_QUESTIONS: dict[str, tuple[str, ...]] = {
    "Is there a pleural effusion?": ("有胸腔积液吗?", "图中是否有胸腔积液?"),
    "Is the heart enlarged?": ("心脏是增大的吗?", "心影是增大的吗?"),
    "Is there a pneumothorax?": ("有气胸吗?", "图中是否有气胸?"),
    "Is there a lung opacity?": ("肺部有实变影吗?", "图中是否有肺部阴影?"),
    "Is there a pulmonary nodule?": ("有肺结节吗?", "图中是否有肺结节?"),
    "Is there a medical device in the image?": ("图中有医疗器械吗?", "图中是否有导管或起搏器?"),
    "Is there a lesion in the right lung?": ("右肺有病变吗?", "右肺是否有病灶?"),
    "Is this a normal film?": ("这是正常的胸片吗?", "这张胸片是正常的吗?"),
    "Are the lungs hyperinflated?": ("肺是过度充气的吗?", "双肺是过度膨胀的吗?"),
    "Is this an x-ray?": ("这是X光片吗?", "这张图像是X光片吗?"),
    "Is this a CT scan?": ("这是CT图像吗?", "这张图像是CT吗?"),
    "Is the heart size normal or enlarged?": ("心脏大小正常还是增大?", "心影正常还是增大?"),
    "What imaging modality was used?": ("这张图片的成像方式是什么?", "这是用什么方式成像的?"),
    "In which plane was the film taken?": ("这张胸片是什么体位?", "这张胸片的投照方位是什么?"),
    "What part of the body is shown?": ("图中显示的是身体的哪个部位?", "这是哪个部位的图像?"),
    "What color is the air in the lungs?": ("肺内的空气是什么颜色的?", "图中空气显示为什么颜色?"),
    "Where is the opacity?": ("阴影在哪里?", "实变位于哪里?"),
    "Where is the nodule?": ("结节在哪里?", "肺结节位于哪里?"),
    "Which side is the pneumothorax on?": ("气胸在哪一侧?", "哪一侧有气胸?"),
    "Which side is the effusion on?": ("积液在哪一侧?", "哪一侧有胸腔积液?"),
    "What is the size of the effusion?": ("胸腔积液的量是多少?", "积液有多少?"),
    "What device is seen?": ("图中是什么器械?", "图中可见哪种器械?"),
    "Is there a hemorrhage?": ("有脑出血吗?", "图中是否有出血?"),
    "Is there an infarct?": ("有脑梗死吗?", "图中是否有梗死灶?"),
    "Is there a mass?": ("有肿块吗?", "图中是否有脑肿瘤?"),
    "Is the brain normal?": ("大脑是正常的吗?", "这是正常的大脑吗?"),
    "Are the ventricles enlarged?": ("脑室是扩大的吗?", "侧脑室是扩大的吗?"),
    "Is this an MRI?": ("这是MRI图像吗?", "这张图像是磁共振吗?"),
    "Is this an axial plane?": ("这是横断面吗?", "这张图像是横断面吗?"),
    "Is this a sagittal plane?": ("这是矢状面吗?", "这张图像是矢状面吗?"),
    "Is this a CT or an MRI?": ("这是CT还是MRI?", "这张图像是CT还是MRI?"),
    "Is there a lesion on the left side?": ("左侧有病变吗?", "左侧半球有病灶吗?"),
    "Is the lesion on the left or right side?": ("病变在左侧还是右侧?", "病灶位于左侧还是右侧?"),
    "In which plane is this image?": ("这是什么断面?", "这张图像是哪个断面?"),
    "What organ is shown?": ("图中是什么器官?", "这是哪个器官的图像?"),
    "What color are the ventricles?": ("脑室是什么颜色的?", "图中脑脊液显示为什么颜色?"),
    "What is the weighting of this MR image?": ("这张MR图像是什么加权?", "这是哪种加权的图像?"),
    "What abnormality is seen?": ("图中有什么异常?", "这是什么病变?"),
    "Where is the lesion?": ("病变在哪里?", "病灶位于哪个脑叶?"),
    "Are there liver lesions?": ("肝脏有病变吗?", "肝内是否有病灶?"),
    "Is there a kidney stone?": ("有肾结石吗?", "图中是否有肾结石?"),
    "Is there a renal cyst?": ("有肾囊肿吗?", "图中是否有肾囊肿?"),
    "Is the aorta enlarged?": ("主动脉是增宽的吗?", "腹主动脉是扩张的吗?"),
    "Is there ascites?": ("有腹水吗?", "图中是否有腹水?"),
    "Was oral contrast given?": ("胃内有造影剂吗?", "图中是否有口服造影剂?"),
    "Is the liver normal?": ("肝脏是正常的吗?", "这是正常的肝脏吗?"),
    "Is the aorta normal or enlarged?": ("主动脉正常还是增大?", "腹主动脉正常还是增大?"),
    "How many lesions are in the liver?": ("肝脏有几个病灶?", "图中有几个肝脏病灶?"),
    "How do the liver lesions compare with the liver?": ("肝脏病灶的密度如何?", "肝内病灶是什么密度?"),
    "What color is the content of the stomach?": ("胃内容物是什么颜色的?", "图中胃是什么颜色的?"),
    "Where is the stone?": ("结石在哪里?", "哪个肾有结石?"),
    "Where is the cyst?": ("囊肿在哪里?", "哪个肾有囊肿?"),
}
"""First English wording of a fact -> its Chinese ones; a fact that is not here is not asked in Chinese."""

_ANSWERS = {
    "normal": "正常", "enlarged": "增大", "x-ray": "X光", "PA": "后前位", "chest": "胸部", "abdomen": "腹部", "brain": "大脑",
    "black": "黑色", "white": "白色", "gray": "灰色", "right": "右侧", "left": "左侧", "bilateral": "双侧", "small": "少量",
    "moderate": "中等量", "large": "大量", "pacemaker": "起搏器", "central line": "中心静脉导管", "endotracheal tube": "气管插管",
    "axial": "横断面", "hemorrhage": "出血", "infarct": "梗死", "mass": "肿块", "subdural hematoma": "硬膜下血肿", "hypodense": "低密度",
    "right kidney": "右肾", "left kidney": "左肾",
}  # fmt: skip
_ANSWERS |= {
    f"{s} {z} zone": f"{a}{b}肺野"
    for s, a in (("right", "右"), ("left", "左"))
    for z, b in (("upper", "上"), ("mid", "中"), ("lower", "下"))
}
_ANSWERS |= {
    f"{s} {lobe} lobe": f"{a}{b}叶"
    for s, a in (("right", "右"), ("left", "左"))
    for lobe, b in (("frontal", "额"), ("parietal", "顶"), ("occipital", "枕"))
}


def in_chinese(fact: Fact) -> Asked | None:
    """Return a fact in Chinese; None: it is not asked in Chinese."""
    wordings = _QUESTIONS.get(fact.wordings[0])
    if wordings is None:
        return None
    answer = str(fact.answer)
    if answer in {"yes", "no"}:
        present = all("有" in wording for wording in wordings)
        return Asked(answer=(_PRESENT if present else _TRUE)[answer == "no"], wordings=wordings)
    return Asked(answer=_ANSWERS.get(answer, answer), wordings=wordings)
